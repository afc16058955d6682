import copy
from types import SimpleNamespace

import pytest
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from support import CONFIGS, ROOT, parse_config_name, write_video

from r21d_plugin import PublicWeights
from r21d_plugin.datasets.samplers import epoch_size_of
from r21d_plugin.models.factory import backbone_cfg
from r21d_plugin.weights import STREAMS

CHANNELS = {None: dict(imgs=3), 'flow': dict(imgs=2), 'twostream': dict(imgs=3, flow=2)}
"""Inputs of each kind of config, and their channels."""

CLASSES = dict(kinetics=400, sports1m=487, ucf101=101, hmdb51=51)
"""Of the paper's datasets."""


def clips_of_a_test(path) -> int:
    """Return the clips of a test: the paper's, or torchvision's for its weights."""
    if path.stem.endswith('_torchvision'):
        return 5
    return 100 if '_sports1m' in path.stem.partition('_from_')[0] else 10


def test_basenames_are_unique():
    names = [path.name for path in (ROOT / 'configs').rglob('*.py')]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_builds_the_network_in_its_name(path):
    network, stream, dataset, frames, _ = parse_config_name(path.stem)
    cfg = Config.fromfile(path)
    model = MODELS.build(copy.deepcopy(cfg.model))
    both = stream == 'twostream'
    backbones = [*model.backbone.children()] if both else [model.backbone]
    given = [cfg.model.backbone[s] for s in STREAMS] if both else [cfg.model.backbone]
    for backbone, arguments, inputs in zip(backbones, given, CHANNELS[stream]):
        expected = backbone_cfg(network, frames)
        assert type(backbone).__name__ == expected.pop('type')
        assert {key: arguments[key] for key in expected} == expected
        assert backbone.in_channels == CHANNELS[stream][inputs]
        assert model.cls_head.in_channels == backbone.num_features
        assert (backbone.clip_len or frames) == frames

    for split, clips in (('train', 1), ('val', 1), ('test', clips_of_a_test(path))):
        data = cfg[f'{split}_dataloader'].dataset
        assert data.pipeline == cfg[f'{split}_pipeline']
        sample = data.pipeline[1]
        assert (sample.clip_len, sample.get('num_clips', 1)) == (frames, clips)
        assert sample.get('test_mode', False) == (split != 'train')
        assert data.num_classes == model.cls_head.num_classes == cfg.num_classes
        assert data.num_classes == CLASSES.get(dataset, data.num_classes)
        DATASETS.build(dict(data, lazy_init=True))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_pipelines_give_what_the_network_takes(path, tmp_path):
    _, stream, _, frames, _ = parse_config_name(path.stem)
    cfg = Config.fromfile(path)
    filename = write_video(tmp_path / 'a.mp4', frames=frames + 3)
    preprocess = MODELS.build(cfg.model.data_preprocessor)
    for split, clips in (('train', 1), ('test', clips_of_a_test(path))):
        video = dict(filename=str(filename), start_index=0, modality='RGB', label=0)
        packed = pseudo_collate([Compose(cfg[f'{split}_pipeline'])(video)])
        inputs = preprocess(packed, False)['inputs']
        inputs = inputs if isinstance(inputs, dict) else dict(imgs=inputs)
        shapes = {name: tuple(x.shape[1:4]) for name, x in inputs.items()}
        assert shapes == {name: (clips, c, frames) for name, c in CHANNELS[stream].items()}
        assert all(x.abs().mean() < 3 for x in inputs.values()), 'normalised'


PARSED = {path: parse_config_name(path.stem) for path in CONFIGS}
SCRATCH = [
    path
    for path, (_, _, dataset, _, source) in PARSED.items()
    if not source and dataset in ('kinetics', 'sports1m')
]


def assert_clips_of_the_paper(cfg):
    scale, crop, flip = cfg.train_pipeline[2:5]
    assert (scale.scale, crop.size, flip.flip_ratio) == ((171, 128), 112, 0.5)


def epoch_of(cfg):
    """Return the clips of an epoch of the data that a config names."""
    dataset = SimpleNamespace(**cfg.train_dataloader.dataset)
    return epoch_size_of(dataset, cfg.train_dataloader.sampler.epoch_sizes)


def sgd(lr, weight_decay):
    """Give the optimizer of the authors' release, with Nesterov's momentum."""
    return dict(type='SGD', lr=lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)


@pytest.mark.parametrize('path', SCRATCH, ids=lambda p: p.stem)
def test_recipe_of_the_paper(path):
    cfg = Config.fromfile(path)
    assert cfg.optim_wrapper.optimizer == sgd(0.01, 1e-4)
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=32)
    assert cfg.train_dataloader.batch_size == 32
    assert epoch_of(cfg) == 1_000_000
    assert cfg.train_cfg.max_epochs == 45
    assert cfg.load_from is None
    warmup, steps = cfg.param_scheduler
    assert (warmup.type, warmup.end) == ('r21d_plugin.GradualWarmupLR', 10)
    assert (steps.milestones, steps.gamma) == ([20, 30, 40], 0.1)
    assert_clips_of_the_paper(cfg)


RECIPES = dict(
    kinetics=(0.001, 1e-4, 32, 1_000_000, 15, [4, 8, 12]),
    ucf101=(1e-4, 5e-3, 4, 100_000, 8, [2, 4, 6]),
    hmdb51=(2e-4, 5e-3, 4, 40_000, 8, [2, 4, 6]),
)
"""Rate per GPU, weight decay, clips per GPU, clips per epoch, epochs and steps, as released."""
FINETUNED = [p for p, (_, _, data, _, source) in PARSED.items() if source and data in RECIPES]


@pytest.mark.parametrize('path', FINETUNED, ids=lambda p: p.stem)
def test_recipe_of_finetuning(path):
    network, stream, dataset, frames, source = parse_config_name(path.stem)
    cfg = Config.fromfile(path)
    lr, decay, batch, epoch_size, epochs, milestones = RECIPES[dataset]
    if source == '8f':
        epochs, milestones = 7, [3, 6]
    assert cfg.optim_wrapper.optimizer == sgd(lr, decay)
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=batch)
    assert cfg.train_dataloader.batch_size == batch
    assert epoch_of(cfg) == epoch_size
    assert cfg.train_cfg.max_epochs == epochs
    (steps,) = cfg.param_scheduler
    assert (steps.milestones, steps.gamma) == (milestones, 0.1)
    assert_clips_of_the_paper(cfg)

    if source == 'ig65m' or network == 'r2plus1d_152':
        publisher = 'VMZ_' if network == 'r2plus1d_152' else ''
        weights = PublicWeights[f'{network}_{publisher}{source}_{frames}F'.upper()]
        assert cfg.load_from == weights.value.url
        return
    # It starts from the last checkpoint of the config of its pretraining.
    pretraining = network + (f'_{stream}' if stream else '')
    pretraining += '_kinetics' if source == '8f' else f'_{source}'
    last = Config.fromfile(ROOT / f'configs/{pretraining}.py').train_cfg.max_epochs
    assert cfg.load_from == f'work_dirs/{pretraining}/epoch_{last}.pth'


@pytest.mark.parametrize('split', ['1', '3'])
def test_splits(monkeypatch, split):
    monkeypatch.setenv('SPLIT', split)
    cfg = Config.fromfile(ROOT / 'configs/r2plus1d_34_hmdb51_from_kinetics.py')
    for loader, part in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        ann_file = cfg[f'{loader}_dataloader'].dataset.ann_file
        assert ann_file == f'data/hmdb51/hmdb51_{part}_split_{split}_videos.txt'


PUBLISHED = [weights.value for weights in PublicWeights if weights.value.config]


@pytest.mark.parametrize('weights', PUBLISHED, ids=lambda weights: weights.config)
def test_public_weights_fit_their_config(weights):
    """Other tests check that each config builds what its name says."""
    network, stream, _, frames, _ = parse_config_name(weights.config)
    cfg = Config.fromfile(ROOT / f'configs/{weights.config}.py')
    assert (network, frames) == (weights.network, weights.clip_len)
    assert cfg.num_classes == weights.num_classes
    assert (stream == 'flow') == (weights.in_channels == 2)
    assert cfg.model.backbone.get('midplanes', 'layer') == weights.midplanes
    preprocessor = cfg.model.data_preprocessor
    assert (tuple(preprocessor.mean), tuple(preprocessor.std)) == (weights.mean, weights.std)
    for pipeline in (cfg.train_pipeline, cfg.val_pipeline, cfg.test_pipeline):
        assert pipeline[1].get('target_fps', 30) == weights.fps
        assert 'frame_interval' not in pipeline[1]


@pytest.mark.parametrize('page', ['README.md', 'docs/networks.md'])
def test_configs_on_pages_are_complete(page, tmp_path):
    """The model of the config that a page shows is built and takes clips."""
    blocks = (ROOT / page).read_text().split('```python\n')[1:]
    (text,) = (block.partition('```')[0] for block in blocks if 'custom_imports' in block)
    (tmp_path / 'config.py').write_text(text)
    model = MODELS.build(Config.fromfile(tmp_path / 'config.py').model)
    assert type(model.backbone).__name__ == 'R2Plus1D'
    assert model.cls_head.fc_cls.in_features == 512
    assert model.data_preprocessor.format_shape == 'NCTHW'
