import subprocess
import sys

import mmaction.registry
import pytest

from r21d_plugin import registry

NAMES = dict(
    MODELS=[
        *('R2D', 'FR2D', 'R3D', 'MCx', 'RMCx', 'R2Plus1D', 'VideoResNet', 'ClipHead'),
        *('MultiClipRecognizer', 'TwoStreamBackbone', 'TwoStreamHead', 'TwoStreamRecognizer'),
        *('OrdinalLoss', 'RegressionLoss'),
    ],
    DATASETS=['LabelledVideoDataset', 'VideoDataset'],
    TRANSFORMS=[
        *('OpenVideo', 'SampleFramesOfClips', 'ReadFrames', 'FixedCrops', 'FarnebackFlow'),
        *('RandomShift', 'ToGray'),
        *('DecordClipInit', 'SampleClips', 'DecordClipDecode'),  # as earlier releases name them
    ],
    DATA_SAMPLERS=['EpochSizeSampler'],
    METRICS=[
        *('ClipVideoAccuracy', 'DumpScores'),
        *('MultiLabelMetric', 'OrdinalMetric', 'RegressionMetric'),
    ],
    HOOKS=[
        *('AccelerateHook', 'EpochSeedHook', 'CheckpointMatchHook', 'TaskHook'),
        *('PredictionPicturesHook', 'ResumableCheckpointHook', 'SkippedVideosHook'),
        *('FiniteLossHook', 'ResumableEarlyStoppingHook', 'TrainingAccuracyHook'),
        'TrainingTimeHook',
    ],
    WEIGHT_INITIALIZERS=['Pretrained', 'PretrainedRGB'],
    OPTIM_WRAPPERS=['BFloat16OptimWrapper'],
    PARAM_SCHEDULERS=['GradualWarmupLR'],
)


def run(code):
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True)


def test_a_scoped_name_needs_no_import():
    """With a complete MMAction2: the wheel of 1.2.0 lacks the folder drn, which is added here."""
    run("""
import sys
from types import ModuleType
for name in ('mmaction.models.localizers.drn', 'mmaction.models.localizers.drn.drn'):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].DRN = type('DRN', (), {})
from mmengine.config import Config
from mmaction.registry import MODELS
assert 'r21d_plugin' not in sys.modules
cfg = Config(dict(type='r21d_plugin.MCx', depth=18, x=3, base_channels=4))
assert type(MODELS.build(cfg)).__name__ == 'MCx'
""")


def test_a_bare_name_works_after_custom_imports():
    run("""
from mmengine.config import Config
from mmaction.registry import MODELS
Config.fromstring("custom_imports = dict(imports=['r21d_plugin'])", '.py')
MODELS.build(dict(type='MCx', depth=18, x=3, base_channels=4))
""")


def test_a_scoped_name_works_in_any_default_scope():
    run("""
import r21d_plugin.registry
from mmengine.registry import DATA_SAMPLERS, MODELS, init_default_scope
init_default_scope('mmengine')
MODELS.build(dict(type='r21d_plugin.R3D', depth=18, base_channels=4))
DATA_SAMPLERS.build(dict(type='r21d_plugin.EpochSizeSampler', dataset=[1], epoch_size=1, seed=0))
""")


@pytest.mark.parametrize('kind', NAMES)
def test_every_public_name_is_in_both_scopes(kind):
    ours, theirs = getattr(registry, kind), getattr(mmaction.registry, kind)
    assert sorted(ours.module_dict) == sorted(NAMES[kind])
    for name in NAMES[kind]:
        assert theirs.get(f'r21d_plugin.{name}') is ours.get(name)
        if name in ('Pretrained', 'VideoDataset'):  # MMEngine and MMAction2 keep their own
            assert theirs.get(name) is not ours.get(name)
            continue
        assert theirs.get(name) is ours.get(name)


def test_our_scope_falls_back_to_mmaction():
    for kind, names in dict(
        DATASETS=['RawframeDataset', 'RepeatDataset'],
        TRANSFORMS=['CenterCrop', 'Resize', 'SampleFrames', 'TransformBroadcaster', 'Nope'],
    ).items():
        ours, theirs = getattr(registry, kind), getattr(mmaction.registry, kind)
        assert all(ours.get(name) is theirs.get(name) for name in names)
