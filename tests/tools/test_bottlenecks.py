"""A network of bottlenecks, trained, tested and used by the commands."""

import numpy as np
import pytest
from support import OPTIONS, ROOT

from r21d_plugin import create_model
from r21d_plugin.evaluation.results import last_test

pytestmark = pytest.mark.slow

CONFIG = ROOT / 'configs/r2plus1d_152_kinetics.py'
CPU = ['--device', 'cpu']
NARROW = [*OPTIONS, 'model.backbone.depth=50', 'model.cls_head.in_channels=128']


def test_training_testing_and_features(in_kinetics, tool, fails, tmp_path):
    tool('train.py', CONFIG, *CPU, '--work-dir', tmp_path, *NARROW, 'train_cfg.max_epochs=1')
    checkpoint = tmp_path / 'epoch_1.pth'
    tool('test.py', CONFIG, checkpoint, *CPU, '--work-dir', tmp_path / 'test', *NARROW)
    assert set(last_test(tmp_path / 'test')) == {'clip@1', 'video@1', 'video@5'}

    video = in_kinetics / 'data/kinetics400/videos_val/video 0.mp4'
    given = ['--config', CONFIG, '--checkpoint', checkpoint, *CPU]
    tool('extract_features.py', video, '--out', tmp_path / 'features', *given, *NARROW)
    (path,) = (tmp_path / 'features').rglob('*.npy')
    assert np.load(path).shape == (1, 128)

    model = create_model('r2plus1d_50', weights=checkpoint)
    assert (model.num_classes, model.num_features) == (400, 128)
    message = fails('test.py', CONFIG, checkpoint, *CPU, '--work-dir', tmp_path, *OPTIONS)
    assert 'gives 128 channels (base_channels=4, ' in message
    assert 'set model.cls_head.in_channels=128' in message
