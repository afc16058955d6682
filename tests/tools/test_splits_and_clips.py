"""The average of three splits, and accuracy by the number of clips, from real runs."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from support import OPTIONS, ROOT, TINY, shell, write_video

pytestmark = pytest.mark.slow

CONFIG = ROOT / 'configs/r2plus1d_34_ucf101_from_kinetics.py'
SHORT = [
    'train_cfg.max_epochs=1',
    'train_dataloader.sampler.epoch_size=4',
    'test_dataloader.dataset.pipeline.1.num_clips=3',
]


@pytest.fixture(scope='module')
def ucf101(tmp_path_factory):
    """Make a folder with three splits of six videos, and a checkpoint of the pretraining."""
    root = tmp_path_factory.mktemp('ucf101')
    (root / 'data/ucf101/videos').mkdir(parents=True)
    lines = []
    for i in range(6):
        write_video(root / f'data/ucf101/videos/{i}.mp4', frames=40, seed=i)
        lines.append(f'{i}.mp4 {i}\n')
    for split in (1, 2, 3):
        for part, chosen in (('train', lines[split:]), ('val', lines[:split])):
            name = f'ucf101_{part}_split_{split}_videos.txt'
            (root / 'data/ucf101' / name).write_text(''.join(chosen))
    cfg = Config.fromfile(ROOT / 'configs/r2plus1d_34_kinetics.py')
    cfg.merge_from_dict(TINY)
    cfg.work_dir = str(root / 'pretraining')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        cfg.train_dataloader = cfg.val_dataloader = cfg.train_cfg = cfg.val_cfg = None
        cfg.val_evaluator = cfg.optim_wrapper = cfg.param_scheduler = None
        model = Runner.from_cfg(cfg).model
    torch.save(dict(state_dict=model.state_dict()), root / 'kinetics.pth')
    return root


def test_three_splits(ucf101, python, tmp_path):
    out = shell(
        *(
            python,
            ROOT / 'tools/run_splits.py',
            CONFIG,
            '--gpus',
            0,
            '--work-dir',
            tmp_path,
        ),
        *(*OPTIONS, *SHORT, f'load_from={ucf101}/kinetics.pth'),
        cwd=ucf101,
    )
    rows = [line.split() for line in out.splitlines() if line.startswith(('split', 'mean'))]
    assert [row[0] for row in rows] == ['split', 'split', 'split', 'mean']
    values = [[float(cell.rstrip('%')) for cell in row[-3:]] for row in rows]
    for column in zip(*values):
        assert column[3] == pytest.approx(sum(column[:3]) / 3, abs=0.1)
    for split in (1, 2, 3):
        logs = sorted((tmp_path / f'split{split}').glob('*/*.log'))
        log = ''.join(path.read_text() for path in logs)
        assert f'ucf101_train_split_{split}_videos.txt' in log
        assert 'new: cls_head.fc_cls.bias, cls_head.fc_cls.weight' in log


def test_only_benchmarks_with_splits(fails):
    message = fails('run_splits.py', ROOT / 'configs/r2plus1d_34_kinetics.py')
    assert 'has no splits: use a config of UCF101 or HMDB51' in message


def test_missing_pretraining(ucf101, fails, monkeypatch, tmp_path):
    """Neither training nor --resume starts from scratch in its place."""
    monkeypatch.chdir(ucf101)
    for resume in ([], ['--resume']):
        message = fails(
            *('train.py', CONFIG, '--device', 'cpu', '--work-dir', tmp_path, *resume, *OPTIONS)
        )
        missing = 'work_dirs/r2plus1d_34_kinetics/epoch_45.pth: no such checkpoint file'
        assert message == f'error: {missing}'


def test_accuracy_by_clips(ucf101, tool, fails, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(ucf101)
    dump = tmp_path / 'scores.pkl'
    options = [
        *OPTIONS,
        'test_dataloader.dataset.pipeline.1.num_clips=20',
        'num_classes=400',
    ]
    arguments = ['--device', 'cpu', '--work-dir', tmp_path, '--dump', dump]
    tool('test.py', CONFIG, 'kinetics.pth', *arguments, *options)
    capsys.readouterr()
    plot = tmp_path / 'curve.png'
    tool('accuracy_by_clips.py', dump, '--plot', plot)
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:] if line]
    assert rows == ['1', '2', '5', '10', '20', str(plot)]
    assert plot.stat().st_size > 5000
    message = fails('accuracy_by_clips.py', dump, '--clips', 30)
    assert message == 'error: 30 clips: the test has 1 to 20 clips per video'


def test_results_of_work_dirs_of_one_name(tmp_path, tool, capsys):
    """As those of two networks on one split."""
    for network, accuracy in (('r2plus1d', 0.97), ('r3d', 0.9)):
        folder = tmp_path / network / 'split1/20260101_000000'
        folder.mkdir(parents=True)
        metrics = {'clip@1': 0.5, 'video@1': accuracy, 'video@5': 0.99}
        (folder / '20260101_000000.json').write_text(json.dumps(metrics))
    tool('results.py', tmp_path / 'r2plus1d/split1', tmp_path / 'r3d/split1')
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['r2plus1d/split1', '50.0%', '97.0%', '99.0%'] in rows
    assert ['r3d/split1', '50.0%', '90.0%', '99.0%'] in rows
