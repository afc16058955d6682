import copy
import re
from pathlib import Path

import pytest
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from support import ROOT

from r21d_plugin import list_models
from r21d_plugin.models.zoo import CLIP_LEN, NETWORKS

CONFIGS = sorted((ROOT / 'configs').glob('*.py'))
NAME = re.compile(
    r'(?P<network>\w+?_(?P<depth>\d\d))_(?P<dataset>kinetics|motion)(_(?P<frames>\d+)f)?'
)


def parse(path: Path):
    match = NAME.fullmatch(path.stem)
    assert match, f'{path.name} is not {{network}}_{{depth}}_{{dataset}}[_{{L}}f].py'
    depth = 18 if match['dataset'] == 'motion' else int(match['depth'])
    return match['network'], int(match['frames'] or CLIP_LEN[depth])


def test_rows_of_table_2_and_the_34_layer_networks():
    names = {path.stem for path in CONFIGS}
    eighteen = [name for name in list_models() if name.endswith('18')]
    assert {f'{name}_kinetics{suffix}' for name in eighteen for suffix in ('', '_16f')} <= names
    assert {'r2plus1d_34_kinetics', 'r3d_34_kinetics'} <= names


def test_basenames_are_unique():
    names = [path.name for path in (ROOT / 'configs').rglob('*.py')]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_builds_what_its_name_says(path):
    network, frames = parse(path)
    cfg = Config.fromfile(path)
    model = MODELS.build(copy.deepcopy(cfg.model))
    expected = dict(NETWORKS[network])
    assert type(model.backbone).__name__ == expected.pop('type')
    assert {key: cfg.model.backbone[key] for key in expected} == expected
    assert model.cls_head.fc_cls.in_features == model.backbone.feat_dim
    assert getattr(model.backbone, 'clip_len', frames) == frames

    for split, clips in (('train', 1), ('val', 1), ('test', 10)):
        data = cfg[f'{split}_dataloader'].dataset
        assert data.pipeline == cfg[f'{split}_pipeline']
        sample = data.pipeline[1]
        assert (sample.clip_len, sample.get('num_clips', 1)) == (frames, clips)
        assert sample.get('test_mode', False) == (split != 'train')
        assert data.num_classes == model.cls_head.num_classes
        DATASETS.build(dict(data, lazy_init=True))


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
