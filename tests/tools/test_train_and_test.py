"""Training, tests and resuming in real runs, and errors of bad input."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest
import torch
from mmengine.utils import get_installed_path
from support import OPTIONS, ROOT, stored_scores, write_video

from r21d_plugin.evaluation.results import last_test
from r21d_plugin.evaluation.scores import accuracy, read_scores
from r21d_plugin.weights import load_state_dict_of

pytestmark = pytest.mark.slow

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
CPU = ['--device', 'cpu']


@pytest.fixture
def trained(trained_dir):
    """Train two epochs; return the checkpoint."""
    return trained_dir / 'epoch_2.pth'


def state(path):
    return load_state_dict_of(str(path))


def losses(work_dir):
    lines = [
        json.loads(line)
        for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    return {line['step']: line['loss'] for line in lines if 'loss' in line}


def test_ten_clip_test_of_a_checkpoint(in_kinetics, trained, tool, tmp_path):
    dump = tmp_path / 'scores.pkl'
    tool('test.py', CONFIG, trained, *CPU, '--work-dir', tmp_path, '--dump', dump, *OPTIONS)
    assert set(last_test(tmp_path)) == {'clip@1', 'video@1', 'video@5'}
    samples = pickle.loads(dump.read_bytes())
    assert len(samples) == 6
    assert all(sample['clip_scores'].shape == (10, 400) for sample in samples)
    assert samples[0]['filename'].endswith('videos_val/video 0.mp4')
    assert accuracy(read_scores(dump)) == pytest.approx(last_test(tmp_path))


def test_videos_in_lmdb(in_kinetics, trained, tool, tmp_path):
    folder = Path('data/kinetics400/videos_val')
    with lmdb.open(str(tmp_path / 'db')) as db, db.begin(write=True) as transaction:
        for path in folder.glob('*.mp4'):
            transaction.put(str(path).encode(), path.read_bytes())
    tool('test.py', CONFIG, trained, *CPU, '--work-dir', tmp_path / 'disk', *OPTIONS)
    init = 'test_dataloader.dataset.pipeline.0'
    storage = [*OPTIONS, f'{init}.io_backend=lmdb', f'{init}.db_path={tmp_path}/db']
    folder.rename(folder.with_name('away'))
    try:
        tool('test.py', CONFIG, trained, *CPU, '--work-dir', tmp_path / 'lmdb', *storage)
    finally:
        folder.with_name('away').rename(folder)
    assert stored_scores(tmp_path / 'lmdb') == stored_scores(tmp_path / 'disk')


PLATEAU = f"""
_base_ = {str(CONFIG)!r}
param_scheduler = [
    dict(
        type='ReduceOnPlateauLR', monitor='video@5', rule='greater', factor=0.5, patience=0,
        threshold=2, threshold_rule='abs',
    )
]
default_hooks = dict(checkpoint=dict(save_best='video@5'))
"""


def test_each_epoch_is_validated_once(in_kinetics, tool, tmp_path):
    """A schedule that follows the accuracy equals that of the unbroken run.

    No accuracy rises by 2, so the rate falls after each epoch but the first.
    """

    def rates(work_dir):
        logs = [path.read_text() for path in sorted(work_dir.glob('*/vis_data/scalars.json'))]
        lines = [json.loads(line) for log in logs for line in log.splitlines()]
        validated = [line['step'] for line in lines if 'video@5' in line]
        return {line['step']: line['lr'] for line in lines if 'lr' in line}, validated

    config = tmp_path / 'plateau.py'
    config.write_text(PLATEAU)
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    options = [*OPTIONS, 'train_cfg.max_epochs=4']
    tool('train.py', config, *CPU, '--work-dir', whole, *options)
    checkpoint = whole / 'epoch_2.pth'
    tool('train.py', config, *CPU, '--work-dir', resumed, '--resume', checkpoint, *options)
    (expected, validated), (found, validated_again) = rates(whole), rates(resumed)
    assert (validated, validated_again) == ([1, 2, 3, 4], [3, 4])
    assert len(set(expected.values())) > 2, 'the rate falls'
    assert found == {step: rate for step, rate in expected.items() if step > 4}


def test_finetuning_replaces_the_classifier_only(in_kinetics, trained, tool, tmp_path):
    tool(
        'train.py',
        CONFIG,
        *CPU,
        '--no-validate',
        '--work-dir',
        tmp_path,
        *OPTIONS,
        f'load_from={trained}',
        'num_classes=500',
        'optim_wrapper.optimizer.lr=0',
    )
    before, after = state(trained), state(tmp_path / 'epoch_2.pth')
    log = next(tmp_path.glob('*/*.log')).read_text()
    count = len(before)
    assert f'{trained}: a checkpoint of r21d_plugin, R(2+1)D-18' in log
    told = f'{count - 2} of {count} tensors are loaded, new: '
    assert f'{told}cls_head.fc_cls.bias, cls_head.fc_cls.weight; epsilon' in log
    assert after['cls_head.fc_cls.weight'].shape == (500, 32)
    assert torch.equal(before['backbone.stem.0.weight'], after['backbone.stem.0.weight'])


def test_mixed_precision_on_the_cpu(in_kinetics, tool, tmp_path):
    """Training computes in bfloat16; MMEngine's own wrapper refuses the CPU."""
    tool('train.py', CONFIG, *CPU, '--amp', '--work-dir', tmp_path, *OPTIONS)
    (log,) = tmp_path.glob('*/*.log')
    assert 'BFloat16OptimWrapper' in log.read_text()
    state_dict = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['state_dict']
    floats = [value for value in state_dict.values() if value.is_floating_point()]
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in floats)


def test_compiled_training(in_kinetics, tool, tmp_path):
    """Losses and the keys of the checkpoint are the same."""
    eager, compiled = tmp_path / 'eager', tmp_path / 'compiled'
    train = ['train.py', ROOT / 'configs/fr2d_18_kinetics.py', *CPU, '--no-validate', '--work-dir']
    tool(*train, eager, *OPTIONS)
    tool(*train, compiled, *OPTIONS, 'compile.backend=aot_eager')
    assert losses(compiled) == pytest.approx(losses(eager), rel=1e-3)
    assert state(compiled / 'epoch_2.pth').keys() == state(eager / 'epoch_2.pth').keys()


def test_testing_in_bfloat16(in_kinetics, trained, tool, fails, tmp_path):
    arguments = ['test.py', CONFIG, trained, *CPU, '--work-dir', tmp_path, *OPTIONS]
    scores = {}
    for dtype in ('float32', 'bfloat16'):
        dump = tmp_path / f'{dtype}.pkl'
        tool(*arguments, f'model.test_cfg.dtype={dtype}', '--dump', dump)
        scores[dtype] = {name: video.clips for name, video in read_scores(dump).items()}
    for name, clips in scores['float32'].items():
        torch.testing.assert_close(scores['bfloat16'][name], clips, rtol=0.05, atol=1e-3)
        assert not torch.equal(scores['bfloat16'][name], clips)
    message = fails(*arguments, 'model.test_cfg.dtype=int8')
    assert "test_cfg.dtype='int8': use float32, bfloat16 or float16" in message


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['model.backbone.depth=35'], 'depth=35: use one of [18, 26, 34, 50, 101, 152]'),
        (['model.backbone.depht=18'], "unexpected keyword argument 'depht'"),
        (
            ['model.backbone.type=r21d_plugin.R4D'],
            'R4D is not a registered model: did you mean r21d_plugin.R3D?',
        ),
        (['model.cls_head.num_classes=3'], 'model.cls_head.num_classes=3: make them agree'),
        (['train_dataloader.dataset.num_classes=3'], 'list_videos.txt, line 4: label 3 is out of'),
        (['train_dataloader.dataset.ann_file=nope.txt'], 'nope.txt: no such annotation file'),
        (
            ['train_dataloader.dataset.data_prefix.video=nope'],
            'videos in a row do not decode: nope/video',
        ),
        (['train_dataloader.persistent_workers=True'], 'persistent_workers=True'),
        (['load_from=nope.pth'], 'nope.pth: no such checkpoint file'),
    ],
)
def test_bad_values_in_training(in_kinetics, fails, tmp_path, options, message):
    assert message in fails('train.py', CONFIG, *CPU, '--work-dir', tmp_path, *OPTIONS, *options)


def test_a_broken_video_is_named_from_inside_a_worker(in_kinetics, fails, tmp_path, trained):
    good = write_video(tmp_path / 'good.mp4', frames=20).read_bytes()
    (tmp_path / 'broken.mp4').write_bytes(good[: len(good) // 2])
    (tmp_path / 'list.txt').write_text('good.mp4 0\nbroken.mp4 1\n')
    data = [
        f'test_dataloader.dataset.ann_file={tmp_path}/list.txt',
        f'test_dataloader.dataset.data_prefix.video={tmp_path}',
    ]
    message = fails('test.py', CONFIG, trained, *CPU, '--work-dir', tmp_path, *OPTIONS, *data)
    assert message == (
        f'error: {tmp_path}/broken.mp4: does not decode: '
        'replace the file or drop it from the annotation file'
    )


def test_a_checkpoint_with_another_network(in_kinetics, fails, trained, tmp_path):
    other = ROOT / 'configs/r3d_18_kinetics.py'
    message = fails('test.py', other, trained, *CPU, '--work-dir', tmp_path, *OPTIONS)
    assert f'{trained}: weights of another network' in message


def test_a_truncated_checkpoint(in_kinetics, fails, trained, tmp_path):
    path = tmp_path / 'half.pth'
    path.write_bytes(trained.read_bytes()[: trained.stat().st_size // 2])
    message = fails('test.py', CONFIG, path, *CPU, '--work-dir', tmp_path, *OPTIONS)
    assert f'{path}: not a readable checkpoint' in message


def test_r2d_input_with_another_clip_length(in_kinetics, fails, tmp_path):
    config = ROOT / 'configs/r2d_18_kinetics_16f.py'
    message = fails(
        'train.py', config, *CPU, '--work-dir', tmp_path, *OPTIONS, 'model.backbone.clip_len=8'
    )
    assert 'R2D was built for clips of 8 frames and got 16' in message


def test_config_that_does_not_exist(fails):
    assert fails('train.py', 'nope.py', *CPU) == 'error: nope.py: no such config file'


def test_more_gpus_than_available(fails, tmp_path):
    found = torch.cuda.device_count()
    message = fails('train.py', CONFIG, '--gpus', found + 1, '--work-dir', tmp_path)
    assert f'{found + 1} GPU(s) asked for and {found} found' in message
    assert not list(tmp_path.iterdir())


def test_missing_mmcv():
    code = f"""
import runpy, sys
sys.modules['mmcv'] = None  # what find_spec takes for not installed
sys.argv = ['train.py', {str(CONFIG)!r}]
sys.path.insert(0, {str(ROOT / 'tools')!r})
runpy.run_path({str(ROOT / 'tools/train.py')!r}, run_name='__main__')
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "error: mmcv is missing: pip install 'r21d_plugin[lite]'" in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize('script', ['train.py', 'test.py'])
def test_mmactions_arguments_are_taken(script, tool, capsys):
    theirs = Path(get_installed_path('mmaction'), '.mim/tools', script).read_text()
    options = set(re.findall(r"'(--[a-z-]+)'", theirs)) - {'--local-rank'}
    assert '--work-dir' in options
    with pytest.raises(SystemExit):
        tool(script, '--help')
    assert options <= set(re.findall(r'--[a-z-]+', capsys.readouterr().out))
