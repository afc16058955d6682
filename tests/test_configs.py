import copy
import re
from pathlib import Path

import pytest
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from support import ROOT, write_video

from r21d_plugin import list_models
from r21d_plugin.models.zoo import CLIP_LEN, NETWORKS
from r21d_plugin.weights import STREAMS

CONFIGS = sorted((ROOT / 'configs').glob('*.py'))
NAME = re.compile(
    r'(?P<network>\w+?_(?P<depth>\d\d))(_(?P<stream>flow|twostream))?'
    r'_(?P<dataset>kinetics|motion)(_(?P<frames>\d+)f)?'
)
CHANNELS = {None: dict(imgs=3), 'flow': dict(imgs=2), 'twostream': dict(imgs=3, flow=2)}
"""Inputs of each kind of config, and their channels."""


def parse(path: Path):
    match = NAME.fullmatch(path.stem)
    assert match, f'{path.name} is not {{network}}_{{depth}}[_{{stream}}]_{{dataset}}[_{{L}}f].py'
    depth = 18 if match['dataset'] == 'motion' else int(match['depth'])
    return match['network'], match['stream'], int(match['frames'] or CLIP_LEN[depth])


def test_rows_of_the_tables():
    names = {path.stem for path in CONFIGS}
    eighteen = [name for name in list_models() if name.endswith('18')]
    assert {f'{name}_kinetics{suffix}' for name in eighteen for suffix in ('', '_16f')} <= names
    assert {'r2plus1d_34_kinetics', 'r3d_34_kinetics'} <= names
    streams = {f'r2plus1d_{network}' for network in ('34_{}_kinetics', '18_{}_motion')}
    assert {name.format(s) for name in streams for s in ('flow', 'twostream')} <= names


def test_basenames_are_unique():
    names = [path.name for path in (ROOT / 'configs').rglob('*.py')]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_builds_what_its_name_says(path):
    network, stream, frames = parse(path)
    cfg = Config.fromfile(path)
    model = MODELS.build(copy.deepcopy(cfg.model))
    both = stream == 'twostream'
    backbones = [*model.backbone.children()] if both else [model.backbone]
    given = [cfg.model.backbone[s] for s in STREAMS] if both else [cfg.model.backbone]
    for backbone, arguments, inputs in zip(backbones, given, CHANNELS[stream], strict=True):
        expected = dict(NETWORKS[network])
        assert type(backbone).__name__ == expected.pop('type')
        assert {key: arguments[key] for key in expected} == expected
        assert backbone.in_channels == CHANNELS[stream][inputs]
        assert model.cls_head.in_channels == backbone.feat_dim
        assert getattr(backbone, 'clip_len', frames) == frames

    for split, clips in (('train', 1), ('val', 1), ('test', 10)):
        data = cfg[f'{split}_dataloader'].dataset
        assert data.pipeline == cfg[f'{split}_pipeline']
        sample = data.pipeline[1]
        assert (sample.clip_len, sample.get('num_clips', 1)) == (frames, clips)
        assert sample.get('test_mode', False) == (split != 'train')
        assert data.num_classes == model.cls_head.num_classes
        DATASETS.build(dict(data, lazy_init=True))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_pipelines_give_what_the_network_takes(path, tmp_path):
    _, stream, frames = parse(path)
    cfg = Config.fromfile(path)
    filename = write_video(tmp_path / 'a.mp4', frames=frames + 3)
    preprocess = MODELS.build(cfg.model.data_preprocessor)
    for split, clips in (('train', 1), ('test', 10)):
        video = dict(filename=str(filename), start_index=0, modality='RGB', label=0)
        packed = pseudo_collate([Compose(cfg[f'{split}_pipeline'])(video)])
        inputs = preprocess(packed, False)['inputs']
        inputs = inputs if isinstance(inputs, dict) else dict(imgs=inputs)
        shapes = {name: tuple(x.shape[1:4]) for name, x in inputs.items()}
        assert shapes == {name: (clips, c, frames) for name, c in CHANNELS[stream].items()}
        assert all(x.abs().mean() < 3 for x in inputs.values()), 'normalised'


@pytest.mark.parametrize('path', [p for p in CONFIGS if 'kinetics' in p.stem], ids=lambda p: p.stem)
def test_recipe_of_the_paper(path):
    cfg = Config.fromfile(path)
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4)
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=32)
    assert cfg.train_dataloader.batch_size == 32
    assert cfg.train_dataloader.sampler.epoch_size == 1_000_000
    assert cfg.train_cfg.max_epochs == 45
    warmup, steps = cfg.param_scheduler
    assert (warmup.type, warmup.end) == ('r21d_plugin.GradualWarmupLR', 10)
    assert (steps.milestones, steps.gamma) == ([20, 30, 40], 0.1)
    scale, crop, flip = cfg.train_pipeline[2:5]
    assert (scale.scale, crop.size, flip.flip_ratio) == ((171, 128), 112, 0.5)
