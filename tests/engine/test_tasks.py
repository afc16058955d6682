"""A dataset, a head and a metric of one task train. Those of different tasks are refused."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from support import ROOT, write_video

from r21d_plugin import InputError

TARGETS = dict(
    CrossEntropyLoss=('class', 'ClipVideoAccuracy', 'video@1'),
    BCELossWithLogits=('labels', 'MultiLabelMetric', 'mAP'),
    OrdinalLoss=('class', 'OrdinalMetric', 'kappa'),
    RegressionLoss=('numbers', 'RegressionMetric', 'MAE'),
)
LINES = {
    'class': ('0', '1', '2', '1'),
    'labels': ('0 2', '-', '1', '2'),
    'numbers': ('55 1 0', '40 2 1', '61 3 -1', '52 2 2'),
}


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    for number in range(4):
        write_video(folder / f'{number}.mp4', 8, seed=number)
    for targets, lines in LINES.items():
        text = ''.join(f'{number}.mp4 {line}\n' for number, line in enumerate(lines))
        (folder / f'{targets}.list').write_text(text)
    return folder


@pytest.fixture
def run(videos, tmp_path):
    """Train an epoch and validate, with the given loss, targets and metric."""

    def build_and_train(loss, targets, metric, head='r21d_plugin.ClipHead'):
        cfg = Config.fromfile(str(ROOT / 'configs/r2plus1d_18_kinetics.py'))
        scope = 'r21d_plugin.' if loss in ('OrdinalLoss', 'RegressionLoss') else ''
        ours = dict(type=head, loss_cls=dict(type=scope + loss), num_classes=3, in_channels=32)
        cfg.model.backbone.base_channels = 4
        cfg.model.cls_head = ours
        videos_of = dict(
            type='r21d_plugin.LabelledVideoDataset',
            ann_file=f'{videos}/{targets}.list',
            data_prefix=dict(video=str(videos)),
            num_classes=3,
            targets=targets,
        )
        for name in ('train', 'val'):
            loader = cfg[f'{name}_dataloader']
            loader.update(batch_size=2, num_workers=0, persistent_workers=False)
            loader.dataset.update(videos_of)
            del loader.dataset['_scope_']
        cfg.train_dataloader.sampler.epoch_size = 4
        cfg.train_cfg.update(max_epochs=1, val_interval=1)
        cfg.val_evaluator = dict(type=f'r21d_plugin.{metric}')
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)
        cfg.update(test_dataloader=None, test_cfg=None, test_evaluator=None)
        cfg.work_dir = str(tmp_path)
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return build_and_train


@pytest.mark.parametrize('loss', TARGETS)
def test_tasks_that_fit_are_trained(run, loss):
    targets, metric, name = TARGETS[loss]
    runner = run(loss, targets, metric)
    assert f'val/{name}' in runner.message_hub.log_scalars
    if targets == 'numbers':
        state = torch.load(f'{runner.work_dir}/epoch_1.pth', 'cpu', weights_only=False)
        torch.testing.assert_close(
            state['state_dict']['cls_head.target_mean'], torch.tensor([52, 2, 0.5])
        )
        assert state['state_dict']['cls_head.target_std'][1] == 0.5**0.5


@pytest.mark.parametrize(
    ('loss', 'targets', 'metric', 'message'),
    [
        (
            'BCELossWithLogits',
            'class',
            'MultiLabelMetric',
            r"train_dataloader.dataset \(LabelledVideoDataset, targets='class'\) does not fit "
            r'model.cls_head \(ClipHead, loss_cls BCELossWithLogits\) is for several labels',
        ),
        ('RegressionLoss', 'class', 'RegressionMetric', "use targets='numbers' in the dataset"),
        ('CrossEntropyLoss', 'numbers', 'ClipVideoAccuracy', "use targets='class' or .*'labels'"),
        ('OrdinalLoss', 'labels', 'OrdinalMetric', "use targets='class' in the dataset"),
        (
            'RegressionLoss',
            'numbers',
            'ClipVideoAccuracy',
            r'val_evaluator \(ClipVideoAccuracy\) is for .*: use type=.r21d_plugin.RegressionM',
        ),
        ('CrossEntropyLoss', 'class', 'MultiLabelMetric', 'is for several labels, and model.cls'),
    ],
)
def test_tasks_that_do_not_fit(run, loss, targets, metric, message):
    with pytest.raises(InputError, match=message):
        run(loss, targets, metric)


def test_heads_that_test_by_a_softmax(run):
    message = r"I3DHead, .* and tests by a softmax: use model.cls_head.type='r21d_plugin.ClipHead'"
    with pytest.raises(InputError, match=message):
        run('BCELossWithLogits', 'labels', 'MultiLabelMetric', head='I3DHead')
