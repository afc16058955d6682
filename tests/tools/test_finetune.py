"""Finetuning on own videos, from a folder to a report."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from own_folders import COMMON, PREPARE
from support import ROOT, write_video

from r21d_plugin import InputError, create_model
from r21d_plugin.cli.launch import load_config
from r21d_plugin.engine import finetuning

pytestmark = pytest.mark.slow

CONFIGS = sorted((ROOT / 'configs').glob('finetune_*.py'))
CLASSES = ['jump, "up"', 'walk', '走る']
SMALL = ['clips=8', 'epochs=2', 'batch_size=4', 'num_workers=1', 'clip_len=4']
SMALL += ['scale=(40,32)', 'crop=24', 'target_fps=None']


@pytest.fixture(scope='session')
def own_data(tmp_path_factory) -> Path:
    """Make a folder with ``out`` (by prepare folder) and weights of narrow networks."""
    folder = tmp_path_factory.mktemp('own')
    for number, name in enumerate(CLASSES):
        (folder / 'my' / name).mkdir(parents=True)
        for i in range(5 - number):
            write_video(folder / f'my/{name}/{i}.mp4', 10, (48, 40), seed=10 * number + i)
    torch.manual_seed(0)
    for network, file in (('r2plus1d_18', 'narrow'), ('fr2d_18', 'flat')):
        model = create_model(network, num_classes=7, base_channels=4)
        torch.save(model.state_dict(), folder / f'{file}.pth')
    return folder


@pytest.fixture
def in_own_data(own_data, tmp_path, monkeypatch, tool) -> Path:
    """Work in a copy of that folder."""
    folder = tmp_path / 'own'
    shutil.copytree(own_data, folder)
    monkeypatch.chdir(folder)
    tool(*PREPARE, 'my', *COMMON)
    return folder


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_configs_follow_the_data(in_own_data, path):
    cfg = load_config(str(path), {'data_root': 'out', 'class_weight': 'auto'})
    head = cfg.model.cls_head
    assert head.num_classes == cfg.train_dataloader.dataset.num_classes == 3
    assert cfg.train_dataloader.dataset.ann_file == 'out/train.txt'
    assert cfg.test_dataloader.dataset.ann_file == 'out/val.txt'
    targets, count, videos = finetuning.read_folder('out')
    assert targets == 'class'
    assert sum(videos) == count == len(Path('out/train.txt').read_text().splitlines())
    weights = head.loss_cls.class_weight
    assert weights == [sum(videos) / 3 / count for count in videos]
    assert head.label_smooth_eps == 0
    assert cfg.load_from.startswith('https://')
    network = path.stem.partition('_')[2]
    assert cfg.model.backbone.type == f'r21d_plugin.{finetuning.backbone_cfg(network)["type"]}'
    frames = dict(finetune_r2plus1d_34=32).get(path.stem, 16)
    assert cfg.test_dataloader.dataset.pipeline[1].clip_len == frames
    rates = dict(finetune_r2plus1d_34=None)
    rate = cfg.train_dataloader.dataset.pipeline[1].get('target_fps')
    assert rate == rates.get(path.stem, 15)


NARROW = {'data_root': 'out', 'model.backbone.base_channels': 4, 'model.cls_head.in_channels': 32}


def test_defaults_reach_model_optimizer_and_pipeline(in_own_data):
    cfg = load_config('configs/finetune_r2plus1d_18.py', NARROW)
    init_default_scope('mmaction')
    model = MODELS.build(cfg.model)
    assert model.cls_head.dropout.p == 0.5
    assert model.cls_head.label_smooth_eps == 0.1
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group['params']:
            of_head = names[id(parameter)].startswith('cls_head.')
            assert group['lr'] == pytest.approx(0.05 if of_head else 0.005)
    *_, crop, resize, colour, flip, shape, pack = cfg.train_dataloader.dataset.pipeline
    assert (crop.type, crop.area_range) == ('RandomResizedCrop', (0.4, 1.0))
    assert (colour.type, colour.brightness, colour.contrast, colour.saturation) == (
        'ColorJitter',
        *(3 * [0.2]),
    )
    assert (flip.type, flip.flip_ratio) == ('Flip', 0.5)
    frame = np.random.default_rng(0).integers(0, 256, (128, 171, 3), np.uint8)
    apply = Compose([crop, resize, colour, flip, shape, pack])
    clips = [
        apply(dict(imgs=[frame.copy() for _ in range(8)], img_shape=(128, 171), **PACKED))['inputs']
        for _ in range(4)
    ]
    for clip in clips:
        assert clip.shape == (1, 3, 8, 112, 112)
        assert (clip == clip[:, :, :1]).all(), 'all frames of a clip are changed alike'
    assert not torch.equal(*clips[:2])


PACKED = dict(num_clips=1, clip_len=8, modality='RGB', label=0)


def test_options_reach_model_optimizer_and_pipeline(in_own_data):
    options = dict(frozen_stages=2, dropout=0.3, label_smoothing=0, lr=0.01, flip=0, color=0)
    given = {name: str(value) for name, value in options.items()}
    cfg = load_config('configs/finetune_r2plus1d_18.py', {**NARROW, **given, 'crop_area': 'None'})
    assert cfg.model.backbone.frozen_stages == 2
    assert (cfg.model.cls_head.dropout_ratio, cfg.model.cls_head.label_smooth_eps) == (0.3, 0)
    assert cfg.optim_wrapper.optimizer.lr == 0.01
    types = [step.type for step in cfg.train_dataloader.dataset.pipeline[3:]]
    assert types == ['RandomCrop', 'FormatShape', 'PackActionInputs']


def test_a_list_for_tests_is_used(in_own_data):
    shutil.copy('out/val.txt', 'out/test.txt')
    cfg = load_config('configs/finetune_r3d_18.py', {'data_root': 'out'})
    assert cfg.test_dataloader.dataset.ann_file == 'out/test.txt'
    assert cfg.val_dataloader.dataset.ann_file == 'out/val.txt'


@pytest.mark.parametrize(('epochs', 'spans'), [(1, [(0, 1)]), (2, [(0, 1), (1, 2)])])
def test_a_short_schedule(in_own_data, epochs, spans):
    cfg = load_config('configs/finetune_r3d_18.py', {'data_root': 'out', 'epochs': str(epochs)})
    assert [(part.begin, part.end) for part in cfg.param_scheduler] == spans
    assert cfg.train_cfg.max_epochs == epochs


def test_networks_follow_the_weights(in_own_data):
    options = {'data_root': 'out', 'weights': 'narrow.pth'}
    cfg = load_config('configs/finetune_r2plus1d_18.py', options)
    assert (cfg.model.backbone.base_channels, cfg.model.cls_head.in_channels) == (4, 32)
    assert cfg.model.backbone.midplanes == 'layer'
    assert cfg.load_from == 'narrow.pth'
    cfg = load_config('configs/finetune_r2plus1d_18.py', {'data_root': 'out'})
    assert cfg.model.backbone.midplanes == 'block', "torchvision's"
    options['weights'] = 'selavi_kinetics_30f'
    cfg = load_config('configs/finetune_r2plus1d_18.py', options)
    assert cfg.train_dataloader.dataset.pipeline[1].clip_len == 30
    options['weights'] = 'None'
    cfg = load_config('configs/finetune_r2plus1d_18.py', options)
    assert cfg.load_from is None


def finetune(tool, *arguments: object) -> None:
    options = ['--gpus', 0, '--cfg-options', *SMALL]
    tool('finetune.py', 'out', '--weights', 'narrow.pth', *arguments, *options)


def last_lines(text: str) -> list[str]:
    return text.splitlines()[-2:]


def test_from_a_folder_to_a_report(in_own_data, tool, fails, capfd):
    pytest.importorskip('jinja2')
    finetune(tool)
    printed = capfd.readouterr().out
    best, report = last_lines(printed)
    assert report == 'report: work_dirs/out/report.html'
    assert 'jump, &#34;up&#34;' in Path('work_dirs/out/report.html').read_text('utf-8')
    checkpoint = torch.load(best.partition(': ')[2], weights_only=False)
    assert checkpoint['state_dict']['cls_head.fc_cls.weight'].shape == (3, 32)
    for command in ('train r21d_plugin configs/finetune_r2plus1d_18.py', 'run r21d_plugin test'):
        assert f'\n$ mim {command} ' in printed
    assert re.search(r'Training will take about \d+:\d\d:\d\d', printed)
    assert 'has checkpoints of another run: continue it with --resume' in fails(
        'finetune.py', 'out', '--weights', 'narrow.pth'
    )


def test_the_classifier_alone(in_own_data, tool, capfd):
    pytest.importorskip('jinja2')
    config = 'finetune_r2plus1d_18'  # of the package, without .py
    finetune(tool, '--frozen', '--work-dir', 'elsewhere', '--config', config)
    best, report = last_lines(capfd.readouterr().out)
    assert Path(f'elsewhere/{config}.py').is_file()
    assert not Path('elsewhere/skipped_train_videos.txt').exists()
    assert best == 'checkpoint: elsewhere/linear_probe.pth'
    assert report == 'report: elsewhere/report.html'
    found = torch.load('elsewhere/linear_probe.pth', weights_only=False)['state_dict']
    before = torch.load('narrow.pth', weights_only=False)
    assert torch.equal(
        found['backbone.layer4.1.conv2.0.3.weight'], before['layer4.1.conv2.0.3.weight']
    )
    assert found['cls_head.fc_cls.weight'].abs().sum() > 0


def test_the_classifier_alone_on_damaged_videos(in_own_data, fails):
    line, *_ = Path('out/train.txt').read_text().splitlines()
    Path('out/videos', line.rpartition(' ')[0]).write_bytes(b'no video')
    changes = ['--cfg-options', 'data_root=out', 'weights=narrow.pth', *SMALL]
    common = ['--work-dir', 'work', '--device', 'cpu', *changes]
    message = fails('linear_probe.py', 'configs/finetune_r2plus1d_18.py', *common)
    path = 'work/skipped_train_videos.txt'
    assert f'{path}: 1 of 9 videos read do not decode, more than max_bad_fraction=0.05' in message
    assert line.rpartition(' ')[0] in Path(path).read_text()


def test_the_classifier_alone_on_several_gpus(in_own_data, fails):
    message = fails('finetune.py', 'out', '--weights', 'narrow.pth', '--frozen', '--gpus', 2)
    assert '--gpus 2: --frozen uses one GPU' in message


TASKS = {
    'ordered classes': (['label'], ['ordered=True'], 'kappa'),
    'several labels': (['labels'], [], 'mAP'),
    'numbers': (['x', 'y'], [], 'MAE'),
}
"""Columns of a table, options, and the metric of the best checkpoint."""


@pytest.fixture
def prepared(in_own_data, tool):
    """Prepare the videos for a task, in ``out``."""

    def prepare(task: str) -> None:
        columns = TASKS[task][0]
        with open('t.csv', 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(['path', *columns])
            for i, path in enumerate(sorted(Path('my').rglob('*.mp4'))):
                labels = (';', 'left', 'right; left')[i % 3]
                cells = dict(label=i % 3, labels=labels, x=i + 0.5, y=-i)
                writer.writerow([path, *(cells[column] for column in columns)])
        shutil.rmtree('out')
        numbers = ['--numbers', 'x,y'] if task == 'numbers' else []
        tool(*PREPARE, 't.csv', *COMMON, '--val', 0.4, *numbers)

    return prepare


@pytest.mark.parametrize('task', ['ordered classes', 'several labels'])
def test_other_tasks_train(prepared, tool, task):
    prepared(task)
    _, options, best = TASKS[task]
    changes = ['data_root=out', 'weights=narrow.pth', *SMALL, *options]
    common = ['--device', 'cpu', '--work-dir', 'work', '--cfg-options', *changes]
    tool('train.py', 'configs/finetune_r2plus1d_18.py', *common)
    assert [*Path('work').glob(f'best_{best}_epoch_*.pth')]


def test_from_a_table_of_numbers_to_a_test(prepared, tool, fails, capfd):
    prepared('numbers')
    finetune(tool)
    checkpoint, report = last_lines(capfd.readouterr().out)
    assert checkpoint.startswith('checkpoint: work_dirs/out/best_MAE_epoch_')
    assert report == 'report: none for numbers'
    saved = torch.load(checkpoint.partition(': ')[2], weights_only=False)
    assert saved['meta']['dataset_meta']['classes'] == ('x', 'y')
    assert 'several labels and numbers have no report' in fails('report.py', 'work_dirs/out')


@pytest.mark.parametrize(
    ('task', 'arguments', 'message'),
    [
        ('numbers', ['class_weight=auto'], "class_weight='auto': no effect on numbers: remove it"),
        ('numbers', ['label_smoothing=0.1'], 'label_smoothing=0.1: no effect on numbers'),
        ('several labels', ['label_smoothing=0.1'], 'no effect on several labels'),
        ('ordered classes', ['ordered=True', 'label_smoothing=0.1'], 'no effect on ordered'),
        ('several labels', ['ordered=True'], 'for classes, and the lists have labels: remove it'),
    ],
)
def test_options_of_other_tasks(prepared, fails, task, arguments, message):
    prepared(task)
    assert message in fails('finetune.py', 'out', '--gpus', 0, '--cfg-options', *arguments)


def test_ordered_classes_that_do_not_ascend(tmp_path):
    for text in ('-2\n-1\n0.5\n10\n', 'mild\n10\n9\n'):
        (tmp_path / 'classes.txt').write_text(text)
        assert finetuning.choose_task('class', True, str(tmp_path)) == 'ordered classes'
    (tmp_path / 'classes.txt').write_text('1\n2\n4\n3\n')
    with pytest.raises(InputError, match=r'classes\.txt: its numbers do not ascend.*: remove '):
        finetuning.choose_task('class', True, str(tmp_path))
    assert finetuning.choose_task('class', False, str(tmp_path)) == 'one class'


def test_linear_probe_for_other_tasks(prepared, fails):
    prepared('numbers')
    message = fails('finetune.py', 'out', '--weights', 'narrow.pth', '--frozen')
    assert '--frozen is for one class, and out is for numbers: remove it' in message
    Path('out/classes.txt').write_text('a\n')
    assert 'remove the outdated one' in fails('finetune.py', 'out')


def test_linear_probe_of_a_config_for_numbers(prepared, fails):
    prepared('numbers')
    changes = ['data_root=out', 'weights=narrow.pth', *SMALL]
    common = ['--work-dir', 'work', '--device', 'cpu', '--cfg-options', *changes]
    message = fails('linear_probe.py', 'configs/finetune_r2plus1d_18.py', *common)
    assert 'is for numbers: a linear probe needs a head for one class' in message


def test_weights_of_labels(prepared):
    prepared('several labels')
    _, count, videos = finetuning.read_folder('out')
    lines = Path('out/train.txt').read_text('utf-8').splitlines()
    labels = [line.rpartition('.mp4 ')[2].split() for line in lines]
    assert videos == [sum(name in words for words in labels) for name in '01']
    assert count == len(lines)
    cfg = load_config('configs/finetune_r3d_18.py', dict(data_root='out', class_weight='auto'))
    weights = cfg.model.cls_head.loss_cls.class_weight
    assert weights == finetuning.weight_of_classes(videos, 'auto')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nope'], 'nope/classes.txt: no such file: write it with `r21d prepare folder'),
        (['out', '--weights', 'nope.pth'], 'nope.pth: no such'),
        (['out', '--weights', 'flat.pth'], 'weights of fr2d_18: choose with --config'),
        (
            ['out', '--weights', 'torchvision_kinetics_16f'],
            'weights of r3d_18 and mc3_18 and r2plus1d_18: choose with --config',
        ),
        (
            ['out', '--weights', 'flat.pth', '--config', 'configs/finetune_r3d_18.py'],
            'flat.pth: weights of fr2d_18, not r3d_18',
        ),
        (['out', '--weights', 'https://example.org/a.pth'], 'its network is not known'),
        (['out', '--weights', 'gdt_ig65m_30f'], 'GDT does not state length, mean and deviation'),
        (['out', '--cfg-options', 'class_weight=[1,2]'], 'or 3 numbers'),
        (['out', '--cfg-options', 'flip=2'], 'flip=2: give a probability'),
        (
            ['out', '--frozen', '--cfg-options', 'weights=None'],
            'give --weights of the network',
        ),
    ],
)
def test_mistakes(in_own_data, fails, arguments, message):
    assert message in fails('finetune.py', *arguments, '--gpus', 0)
    assert not Path('work_dirs').exists()
