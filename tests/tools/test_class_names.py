"""Class names, from training to every use of a checkpoint, in a folder without the lists."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmaction.apis.inferencers import MMAction2Inferencer
from support import ROOT, TINY, write_video
from untrained import CONFIGS, untrained

from r21d_plugin import create_model
from r21d_plugin.cli.launch import load_config
from r21d_plugin.inference import export
from r21d_plugin.weights import classes_of, load_checkpoint

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
NAMES = ['пить чай', 'run, "fast"', "l'été 2"]
DATA = {
    **TINY,
    'model.cls_head.num_classes': 3,
    'train_dataloader.num_workers': 0,
    'val_dataloader.num_workers': 0,
    'test_dataloader.num_workers': 0,
    'train_cfg.max_epochs': 1,
    'test_dataloader.dataset.pipeline.1.num_clips': 2,
}
for mode in ('train', 'val', 'test'):
    DATA[f'{mode}_dataloader.dataset.ann_file'] = 'own/list.txt'
    DATA[f'{mode}_dataloader.dataset.data_prefix.video'] = 'videos'
    DATA[f'{mode}_dataloader.dataset.num_classes'] = 3
OPTIONS = ['--cfg-options', *(f'{key}={value}' for key, value in DATA.items())]
CPU = ['--device', 'cpu']


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('names')


@pytest.fixture
def checkpoint(folder, tool, monkeypatch) -> Path:
    """Train and test, then remove the lists; return the checkpoint."""
    path = folder / 'work/epoch_2.pth'
    if not path.exists():
        for name in ('own', 'videos'):
            (folder / name).mkdir()
        for i in range(6):
            write_video(folder / f'videos/{i}.mp4', 12, seed=i)
        (folder / 'own/list.txt').write_text(''.join(f'{i}.mp4 {i % 3}\n' for i in range(6)))
        (folder / 'own/whatever.txt').write_text('\n'.join(NAMES), encoding='utf-8')
        monkeypatch.chdir(folder)
        train = ['train.py', CONFIG, *CPU, '--work-dir', 'work', *OPTIONS]
        tool(*train)
        tool(*train, 'train_cfg.max_epochs=2', '--resume')
        assert not any('metainfo from the resumed' in log for log in logs('work'))
        (folder / 'own/whatever.txt').unlink()
        tool('test.py', CONFIG, path, *CPU, '--work-dir', 'work', *OPTIONS)
        shutil.rmtree(folder / 'own')
    (folder / 'elsewhere').mkdir(exist_ok=True)
    monkeypatch.chdir(folder / 'elsewhere')
    return path


def logs(work_dir):
    return [log.read_text('utf-8') for log in Path(work_dir).glob('*/*.log')]


def test_any_program_reads_them(checkpoint):
    meta = torch.load(checkpoint, weights_only=True)['meta']
    assert meta['dataset_meta'] == dict(classes=tuple(NAMES))


def labels_of(source, tool, tmp_path, *args):
    out = tmp_path / 'out.json'
    network = ['--config', CONFIG, '--checkpoint', source, '--workers', 0, '--json', out, *args]
    tool('predict.py', '../videos/0.mp4', *CPU, *network, *OPTIONS)
    (entry,) = json.loads(out.read_text(encoding='utf-8'))
    return {found['number']: found['label'] for found in entry['classes']}


def test_predict(checkpoint, tool, fails, tmp_path):
    assert labels_of(checkpoint, tool, tmp_path) == dict(enumerate(NAMES))
    (tmp_path / 'labels.txt').write_text('a\nb\nc\n')
    given = ['--labels', tmp_path / 'labels.txt']
    assert labels_of(checkpoint, tool, tmp_path, *given) == dict(enumerate('abc'))
    wrong = torch.load(checkpoint, weights_only=True)
    wrong['meta']['dataset_meta']['classes'] = NAMES[:2]
    torch.save(wrong, tmp_path / 'wrong.pth')
    network = ['--config', CONFIG, '--checkpoint', tmp_path / 'wrong.pth', *CPU, *OPTIONS]
    assert f'{tmp_path}/wrong.pth: 2 names, and the config has 3 classes' in fails(
        'predict.py', '../videos/0.mp4', *network
    )


def test_report(checkpoint, tool, tmp_path):
    pytest.importorskip('jinja2')
    tool('report.py', '../work', '--out', tmp_path / 'page.html', *CPU)
    page = (tmp_path / 'page.html').read_text('utf-8')
    assert 'пить чай' in page
    assert 'run, &#34;fast&#34;' in page


@pytest.mark.parametrize('suffix', export.FORMATS)
def test_export(checkpoint, tool, tmp_path, suffix):
    if suffix == '.onnx':
        onnxruntime = pytest.importorskip('onnxruntime')
        pytest.importorskip('onnxscript')
    out = tmp_path / f'network{suffix}'
    tool('export.py', CONFIG, checkpoint, out, *OPTIONS)
    if suffix == '.onnx':
        session = onnxruntime.InferenceSession(out, providers=['CPUExecutionProvider'])
        names = json.loads(session.get_modelmeta().custom_metadata_map['classes'])
    else:
        extra = {'metadata.json': ''}
        torch.export.load(out, extra_files=extra)
        names = json.loads(extra['metadata.json'])['classes']
    assert names == NAMES


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_publish(checkpoint, tool, tmp_path, suffix):
    if suffix == '.safetensors':
        pytest.importorskip('safetensors')
    tool('publish_model.py', checkpoint, tmp_path / f'net{suffix}')
    (path,) = tmp_path.iterdir()
    assert classes_of(load_checkpoint(str(path))) == tuple(NAMES)
    assert labels_of(path, tool, tmp_path) == dict(enumerate(NAMES))


def test_convert_and_create_model(checkpoint, tool, tmp_path):
    tool('convert_weights.py', checkpoint, tmp_path / 'ours.pth', '--to', 'r21d')
    model = create_model('r2plus1d_18', weights=tmp_path / 'ours.pth')
    assert model.categories == tuple(NAMES)
    model.reset_classifier(3)
    assert model.categories == ()
    assert create_model('r2plus1d_18', 4, weights=tmp_path / 'ours.pth').categories == ()


def test_hub(checkpoint, tmp_path):
    pytest.importorskip('huggingface_hub')
    from r21d_plugin.hub import from_pretrained, save_pretrained

    save_pretrained(create_model('r2plus1d_18', weights=checkpoint), tmp_path, dict(clip_len=8))
    meta = json.loads((tmp_path / 'config.json').read_text())['meta']
    assert meta == dict(categories=NAMES, clip_len=8)
    assert from_pretrained(tmp_path).meta == meta


def test_mmaction2s_inferencer(checkpoint, tmp_path):
    """It returns numbers, and its ``label_file`` does not change them."""
    cfg = load_config(str(CONFIG), dict(DATA))
    cfg.dump(tmp_path / 'config.py')
    inferencer = MMAction2Inferencer(str(tmp_path / 'config.py'), str(checkpoint), device='cpu')
    (prediction,) = inferencer('../videos/0.mp4')['predictions']
    ((number,),) = prediction['rec_labels']
    names = torch.load(checkpoint, weights_only=True)['meta']['dataset_meta']['classes']
    assert names[number] in NAMES


def test_a_test_with_lists_of_other_numbers(checkpoint, tool, tmp_path):
    (tmp_path / 'list.txt').write_text('0.mp4 0\n1.mp4 1\n')
    (tmp_path / 'names.txt').write_text('\n'.join([NAMES[0], *NAMES[:0:-1]]), encoding='utf-8')
    data = 'test_dataloader.dataset'
    own = [f'{data}.ann_file={tmp_path}/list.txt', f'{data}.data_prefix.video=../videos']
    tool('test.py', CONFIG, checkpoint, *CPU, '--work-dir', tmp_path / 'work', *OPTIONS, *own)
    (log,) = logs(tmp_path / 'work')
    assert f'class 1 is {NAMES[1]!r} in the checkpoint and {NAMES[2]!r} in the dataset' in log


def test_two_streams(tool, tmp_path, monkeypatch):
    """The names are those of the stream that has some, fused before or not."""
    monkeypatch.chdir(tmp_path)
    names = tuple(f'move {i}' for i in range(10))
    for stream in ('rgb', 'flow'):
        checkpoint = torch.load(untrained(tmp_path, stream), weights_only=True)
        if stream == 'flow':
            checkpoint['meta'] = dict(dataset_meta=dict(classes=names))
        torch.save(checkpoint, f'{stream}.pth')
    tool('fuse_checkpoints.py', 'rgb.pth', 'flow.pth', 'both.pth')
    assert classes_of(load_checkpoint('both.pth')) == names
    write_video(tmp_path / 'a.mp4', 12)
    joined = [f'model.checkpoints.{stream}={stream}.pth' for stream in ('rgb', 'flow')]
    for source, options in (('both.pth', []), ('none', ['--cfg-options', *joined])):
        network = ['--config', CONFIGS['twostream'], '--checkpoint', source, *CPU, *options]
        tool('predict.py', 'a.mp4', '--workers', 0, '--json', 'out.json', *network)
        (entry,) = json.loads(Path('out.json').read_text())
        assert {found['label'] for found in entry['classes']} <= set(names)
