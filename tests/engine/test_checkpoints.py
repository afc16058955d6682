"""Checkpoints: what they contain, and which one a run resumes from."""

import logging
import os
import shutil
import subprocess
import sys
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import CheckpointLoader, Runner
from support import needs_torch
from torch.utils.data import DataLoader

from r21d_plugin import InputError
from r21d_plugin.engine import ResumableCheckpointHook
from r21d_plugin.engine.checkpoints import latest_checkpoint
from r21d_plugin.engine.plain_data import pack_message_hub, to_plain_data, unpack_message_hub
from r21d_plugin.weights import load_checkpoint

LOGGER = logging.getLogger('test')


class Toy(BaseModel):
    """A network with one layer."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.layer(inputs).square().mean())


class Notes(Hook):
    """Objects that other people's metrics and hooks leave in the message hub."""

    priority = 'LOW'

    def before_train(self, runner):
        self.start = runner.message_hub.state_dict()

    def after_train_epoch(self, runner):
        runner.message_hub.update_info('best', np.float64(0.1) * 3)
        runner.message_hub.update_info('table', np.arange(3))
        runner.message_hub.update_info('object', LOGGER)


def run(work_dir, hook, epochs=2, resume=None):
    """Train with MMEngine's runner; return the message hub's state at the start and the end."""
    for manager in (MMLogger, MessageHub):
        manager._instance_dict.clear()
    torch.manual_seed(0)
    model, notes = Toy(), Notes()
    data = [dict(inputs=sample) for sample in torch.randn(6, 2)]
    runner = Runner(
        model,
        str(work_dir),
        train_dataloader=DataLoader(data, batch_size=2),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)),
        param_scheduler=dict(type='MultiStepLR', milestones=[1, 3], end=9),
        default_hooks=dict(checkpoint=hook),
        custom_hooks=[notes],
        randomness=dict(seed=0),
        load_from=resume,
        resume=bool(resume),
        default_scope='mmaction',
        experiment_name=f'{work_dir}',
    )
    runner.train()
    return notes.start, runner.message_hub.state_dict()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A work dir with two epochs, and the state of the message hub at the end."""
    work_dir = tmp_path_factory.mktemp('trained')
    _, end = run(work_dir, ResumableCheckpointHook())
    return work_dir, end


def test_torch_reads_a_checkpoint_without_mmengine(trained):
    code = """
import sys, torch
checkpoint = torch.load(sys.argv[1])
assert not {'mmengine', 'r21d_plugin'} & set(sys.modules)
assert sorted(checkpoint) == ['message_hub', 'meta', 'optimizer', 'param_schedulers', 'state_dict']
info = checkpoint['message_hub']['runtime_info']
assert type(info['best']) is float and info['best'] == 0.1 * 3, info['best']
assert info['table'].tolist() == [0, 1, 2]
assert 'object' not in info
"""
    path = trained[0] / 'epoch_2.pth'
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    subprocess.run([sys.executable, '-I', '-c', code, path], check=True, env=env)


def test_omitted_values_are_logged_once(trained):
    (log,) = trained[0].glob('*/*.log')
    assert log.read_text().count('not stored in checkpoints') == 1
    assert "['message_hub.runtime_info.object']" in log.read_text()


@pytest.mark.parametrize('hook', [ResumableCheckpointHook, CheckpointHook])
def test_mmengines_runner_resumes_from_it(trained, hook, tmp_path):
    """MMEngine's own loader reads it too.

    Without our hook only the averages of the log are lost.
    """
    before = trained[1]
    start, end = run(tmp_path / 'resumed', hook(), 4, str(trained[0] / 'epoch_2.pth'))
    run(tmp_path / 'whole', ResumableCheckpointHook(), 4)
    (log,) = (tmp_path / 'resumed').glob('*/*.log')
    assert 'in message_hub' not in log.read_text(), 'MMEngine misses something'
    whole, resumed = (
        torch.load(tmp_path / d / 'epoch_4.pth', weights_only=False) for d in ('whole', 'resumed')
    )
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert str(whole[part]) == str(resumed[part])
    losses = end['log_scalars']['train/loss'].data[0]
    if hook is CheckpointHook:
        assert len(losses) == 6
        return
    assert len(losses) == 12
    assert dict(before['resumed_keys']) == dict(start['resumed_keys'], object=True)
    assert start['log_scalars'].keys() == before['log_scalars'].keys()
    for name, buffer in before['log_scalars'].items():
        for mine, theirs in zip(start['log_scalars'][name].data, buffer.data):
            assert mine.dtype == theirs.dtype
            assert np.array_equal(mine, theirs)


def test_a_checkpoint_of_mmengines_hook_resumes_too(tmp_path, monkeypatch):
    for_them = lambda path, *_, **__: load_checkpoint(path)  # noqa: E731
    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', for_them)
    hook = CheckpointHook()
    monkeypatch.setattr(Notes, 'after_train_epoch', lambda self, runner: None)
    run(tmp_path / 'a', hook, 1)
    _, end = run(tmp_path / 'b', ResumableCheckpointHook(), 2, str(tmp_path / 'a/epoch_1.pth'))
    assert len(end['log_scalars']['train/loss'].data[0]) == 6


@pytest.mark.parametrize(
    ('metric', 'rule'),
    [('video@1', 'greater'), ('flow/clip@1', 'greater'), ('acc/top1', 'greater'), ('MAE', 'less')],
)
def test_the_rule_follows_the_metric(metric, rule):
    assert ResumableCheckpointHook(save_best=metric).rules == [rule]


def test_a_copied_run_leaves_the_best_checkpoint_of_the_first(tmp_path):
    hook = ResumableCheckpointHook(save_best='video@1')
    run(tmp_path / 'copy', hook, 1)
    hook.best_ckpt_path = f'{tmp_path}/first/best_video@1_epoch_1.pth'
    hook.best_ckpt_path_dict = {'MAE': f'{tmp_path}/first/best_MAE_epoch_1.pth', 'RMSE': None}
    hook.stay_in_folder()
    assert hook.best_ckpt_path == f'{tmp_path}/copy/best_video@1_epoch_1.pth'
    best_mae = f'{tmp_path}/copy/best_MAE_epoch_1.pth'
    assert hook.best_ckpt_path_dict == {'MAE': best_mae, 'RMSE': None}


def test_containers_keep_their_types():
    state_dict = OrderedDict(weight=torch.ones(1))
    state_dict._metadata = {'': dict(norm_eps=1e-3)}
    content = dict(
        state_dict=state_dict,
        milestones=Counter([3]),
        nested=[(np.int64(1), {2.0}), None],
        path=Path('a'),
        deep=dict(good=np.bool_(True), bad=dict(code=print), array=np.array([object()])),
    )
    left_out: list[str] = []
    plain = to_plain_data(content, left_out)
    assert left_out == ['deep.bad.code', 'deep.array']
    assert plain['deep'] == dict(good=True, bad={})
    assert type(plain['deep']['good']) is bool
    assert plain['nested'] == [(1, {2.0}), None]
    assert type(plain['nested'][0][0]) is int
    assert type(plain['milestones']) is Counter
    assert plain['path'] == 'a'
    assert plain['state_dict']['weight'] is state_dict['weight']
    assert plain['state_dict']._metadata == state_dict._metadata
    assert content['deep']['bad'] == dict(code=print), 'the original is as it was'


def test_an_empty_history():
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    assert unpack_message_hub(pack_message_hub(hub, [])) == hub


@pytest.fixture
def work_dir(tmp_path):
    """Copy a work dir of eleven epochs, so that file times carry no information."""
    for i in (9, 1, 10, 11, 2):
        torch.save(dict(state_dict=dict(a=torch.ones(i))), tmp_path / f'epoch_{i}.pth')
        os.utime(tmp_path / f'epoch_{i}.pth', (1000 - i, 1000 - i))
    torch.save(dict(a=torch.ones(1)), tmp_path / 'best_video@1_epoch_12.pth')
    return tmp_path


def test_the_highest_number_is_the_latest(work_dir):
    assert latest_checkpoint(str(work_dir), LOGGER) == str(work_dir / 'epoch_11.pth')
    (work_dir / 'last_checkpoint').write_bytes(b'\xff\x00')
    assert latest_checkpoint(str(work_dir), LOGGER) == str(work_dir / 'epoch_11.pth')
    (work_dir / 'epoch_11.pth').write_bytes((work_dir / 'epoch_10.pth').read_bytes()[:-50])
    assert latest_checkpoint(str(work_dir), LOGGER) == str(work_dir / 'epoch_10.pth')


def test_last_checkpoint_of_a_copied_work_dir(work_dir):
    """It names the file in the original, whose training may have continued."""
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_10.pth'))
    copied = work_dir / 'copied'
    copied.mkdir()
    for name in ('epoch_10.pth', 'epoch_9.pth', 'last_checkpoint'):
        shutil.copy(work_dir / name, copied)
    assert latest_checkpoint(str(copied), LOGGER) == str(copied / 'epoch_10.pth')
    (copied / 'epoch_10.pth').unlink()
    assert latest_checkpoint(str(copied), LOGGER) == str(work_dir / 'epoch_10.pth')


@pytest.fixture(
    params=[
        'legacy',
        pytest.param('no checksums', marks=needs_torch('serialization.set_crc32_options')),
    ]
)
def odd(request, tmp_path):
    """Write a checkpoint in another format of torch."""
    path = tmp_path / 'epoch_3.pth'
    content = dict(state_dict=dict(a=torch.arange(5000.0)))
    if request.param == 'legacy':
        torch.save(content, path, _use_new_zipfile_serialization=False)
        return path
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(content, path)
    finally:
        torch.serialization.set_crc32_options(True)
    return path


def test_other_formats_of_torch_are_whole(odd, tmp_path):
    assert latest_checkpoint(str(tmp_path), LOGGER) == str(odd)
    assert load_checkpoint(str(odd))['state_dict']['a'].tolist() == list(range(5000))


def test_truncated_checkpoints_of_other_formats(odd, tmp_path):
    odd.write_bytes(odd.read_bytes()[:9000])
    with pytest.raises(InputError, match=r'damaged or missing: epoch_3\.pth'):
        latest_checkpoint(str(tmp_path), LOGGER)
