import copy

import pytest
from mmaction.registry import MODELS
from mmengine.config import Config
from support import ROOT

from r21d_plugin import InputError
from r21d_plugin.engine import check_model

MOTION = {
    None: ROOT / 'configs/r2plus1d_18_motion.py',
    'flow': ROOT / 'configs/r2plus1d_18_flow_motion.py',
    'twostream': ROOT / 'configs/r2plus1d_18_twostream_motion.py',
}
FOREIGN = {
    'model.type': 'Recognizer3D',
    'model.cls_head.type': 'I3DHead',
    'model.cls_head.average_clips': 'prob',
}


def checked(stream=None, **options):
    """Build the model of a config, then check it together with the pipelines."""
    cfg = Config.fromfile(MOTION[stream])
    cfg.merge_from_dict(options)
    check_model(MODELS.build(copy.deepcopy(cfg.model)), cfg)


@pytest.mark.parametrize('stream', MOTION)
def test_our_configs_fit(stream):
    checked(stream)


def test_foreign_recognizers_and_groups_in_the_middle_fit():
    checked(**FOREIGN)
    options = {'model.backbone.out_indices': (1,), 'model.cls_head.in_channels': 16}
    checked(**options)


@pytest.mark.parametrize('key', ['runtime', 'dtype'])
def test_options_of_our_recognizer_alone(key):
    with pytest.raises(InputError, match=f'^model.test_cfg.{key}: Recognizer3D ignores it: use'):
        checked(**FOREIGN, **{f'model.test_cfg.{key}': 'bfloat16'})


@pytest.mark.parametrize('foreign', [{}, FOREIGN], ids=['ours', 'foreign'])
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'model.backbone.base_channels': 4},
            r'model\.backbone gives 32 channels \(base_channels=4, out_indices=\(3,\)\) and '
            r'model\.cls_head\.in_channels=64: set model\.cls_head\.in_channels=32',
        ),
        (
            {'model.backbone.out_indices': (0,)},
            r'gives 8 channels .*: set model\.cls_head\.in_channels=8',
        ),
        (
            {'model.backbone.in_channels': 2},
            r'model\.data_preprocessor\.mean has 3 numbers and model\.backbone\.in_channels=2',
        ),
        (
            {'model.data_preprocessor.std': [1.0, 2.0]},
            r'model\.data_preprocessor\.std has 2 numbers and model\.backbone\.in_channels=3',
        ),
        ({'model.data_preprocessor.format_shape': 'NCHW'}, "use 'NCTHW'"),
        ({'model.cls_head.num_classes': 0}, r'model\.cls_head\.num_classes=0: use a whole number'),
    ],
)
def test_parts_that_do_not_fit(options, message, foreign):
    with pytest.raises(InputError, match=message):
        checked(**options, **foreign)


def test_streams_that_do_not_fit():
    with pytest.raises(InputError, match=r'model\.backbone\.flow gives 32 channels'):
        checked('twostream', **{'model.backbone.flow.base_channels': 4})
    message = r'preprocessors\.flow\.mean has 2 numbers and model\.backbone\.flow\.in_channels=3'
    with pytest.raises(InputError, match=message):
        checked('twostream', **{'model.backbone.flow.in_channels': 3})
    mixup = dict(type='MixupBlending', num_classes=4)
    with pytest.raises(InputError, match=r'preprocessors\.imgs\.blending: each stream would mix'):
        checked('twostream', **{'model.data_preprocessor.preprocessors.imgs.blending': mixup})


FLOW_INPUT = {
    'model.backbone.in_channels': 2,
    'model.data_preprocessor.mean': [0.0, 0.0],
    'model.data_preprocessor.std': [1.0, 1.0],
}
RGB_INPUT = {
    'model.backbone.in_channels': 3,
    'model.data_preprocessor.mean': [0.0],
    'model.data_preprocessor.std': [1.0],
}


@pytest.mark.parametrize(
    ('stream', 'options', 'message'),
    [
        (None, FLOW_INPUT, r'gives imgs of 3 channels and model\.backbone\.in_channels=2'),
        ('flow', RGB_INPUT, r'gives imgs of 2 channels and model\.backbone\.in_channels=3'),
    ],
)
def test_pipelines_that_do_not_fit(stream, options, message):
    with pytest.raises(InputError, match=rf'the pipeline of train_dataloader\.dataset {message}'):
        checked(stream, **options)


def test_a_pipeline_of_two_streams_for_a_network_of_one():
    cfg, other = (Config.fromfile(MOTION[stream]) for stream in ('twostream', None))
    model = MODELS.build(other.model)
    with pytest.raises(InputError, match=r'gives imgs and flow and model\.backbone takes imgs'):
        check_model(model, cfg)


def test_pipelines_inside_wrappers():
    cfg = Config.fromfile(MOTION[None])
    cfg.merge_from_dict(FLOW_INPUT)
    inner = cfg.test_dataloader.dataset
    wrapped = dict(dataset=dict(type='ConcatDataset', datasets=[inner]))
    only_test = Config(dict(model=cfg.model, test_dataloader=wrapped))
    with pytest.raises(InputError, match=r'the pipeline of test_dataloader\.dataset gives'):
        check_model(MODELS.build(cfg.model), only_test)


def test_transforms_of_other_packages_are_not_checked():
    cfg = Config.fromfile(MOTION[None])
    cfg.merge_from_dict(FLOW_INPUT)
    for name in ('train', 'val', 'test'):
        cfg[f'{name}_dataloader'].dataset.pipeline.insert(-2, dict(type='ToTwoChannels'))
    check_model(MODELS.build(cfg.model), cfg)
