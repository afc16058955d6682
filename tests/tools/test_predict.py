"""Prediction of videos outside a dataset, compared with tests of a dataset."""

import json
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import ROOT, write_video
from untrained import CONFIGS, untrained, write_videos

from r21d_plugin.cli.launch import load_config
from r21d_plugin.inference.class_names import class_names
from r21d_plugin.weights.public import kinetics_400

CPU = ['--device', 'cpu']


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Make a folder with videos/ and, in data/, an annotation file and a label map."""
    root = tmp_path_factory.mktemp('predict')
    frames = write_videos(root / 'videos')
    (root / 'data').mkdir()
    (root / 'data/motion_val_list_videos.txt').write_text(''.join(f'{n} 0\n' for n in frames))
    (root / 'data/label_map_motion.txt').write_text(''.join(f'clâss {i}\n' for i in range(10)))
    return root


@pytest.fixture(scope='module')
def checkpoint(root):
    return untrained(root)


def network(root, checkpoint, stream='rgb', *options):
    """Return arguments of predict.py, with the dataset of the folder."""
    data = [
        f'test_dataloader.dataset.ann_file={root}/data/motion_val_list_videos.txt',
        f'test_dataloader.dataset.data_prefix.video={root}/videos',
    ]
    named = ['--config', CONFIGS[stream], '--checkpoint', checkpoint, '--workers', 0]
    return [*named, *CPU, '--cfg-options', *data, *options]


@pytest.mark.parametrize('stream', CONFIGS)
def test_scores_are_those_of_a_test(root, stream, tool, tmp_path):
    path = untrained(tmp_path, stream)
    arguments = network(root, path, stream)
    options = [*arguments[6:], 'test_dataloader.num_workers=0']
    options.append('test_dataloader.persistent_workers=False')
    dump = ['--dump', tmp_path / 'test.pkl', '--work-dir', tmp_path]
    tool('test.py', CONFIGS[stream], path, *dump, *options)
    tested = {s['filename']: s['pred_score'] for s in pickle.loads(dump[1].read_bytes())}

    out = tmp_path / 'out.json'
    tool('predict.py', root / 'videos', '--json', out, '--top', 10, *arguments)
    predicted = json.loads(out.read_text())
    assert {entry['video'] for entry in predicted} == tested.keys()
    for entry in predicted:
        scores = {found['number']: found['score'] for found in entry['classes']}
        assert [scores[i] for i in range(10)] == tested[entry['video']].tolist()
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert max(entry['classes'][0]['score'] for entry in predicted) > 0.2


def test_table(root, checkpoint, tool, capsys):
    videos = [root / 'videos/a b.mp4', f'{root}/videos/s*/*é*']
    arguments = network(root, checkpoint)
    arguments[arguments.index('--workers') + 1] = 2
    tool('predict.py', *videos, '--top', 2, *arguments)
    table, bar = capsys.readouterr()
    lines = [line.split() for line in table.splitlines() if line.startswith('  ')]
    assert [line[0] for line in lines] == ['1', '2', '1', '2']
    assert all(line[1] == 'clâss' and line[3].endswith('%') for line in lines)
    names = [line for line in table.splitlines() if line.startswith('/')]
    assert names == [f'{root}/videos/a b.mp4', f'{root}/videos/sub/vidéo.avi']
    assert '2/2' in bar


def test_json_on_standard_output(root, checkpoint, tool, capsys):
    tool('predict.py', root / 'videos', '--json', '-', '--top', 1, *network(root, checkpoint))
    entries = {entry['video']: entry for entry in json.loads(capsys.readouterr().out)}
    short = entries[f'{root}/videos/sub/short.mp4']
    assert (short['frames'], short['fps']) == (5, 25)
    assert len(short['classes']) == 1


def test_classes_without_a_label_map_are_numbers(root, checkpoint, tool, tmp_path):
    shutil.copytree(root, tmp_path / 'copy')
    (tmp_path / 'copy/data/label_map_motion.txt').unlink()
    out = tmp_path / 'out.json'
    video = root / 'videos/a b.mp4'
    tool('predict.py', video, '--json', out, *network(tmp_path / 'copy', checkpoint))
    found = json.loads(out.read_text())[0]['classes']
    assert all(one['label'] == str(one['number']) for one in found)


def test_broken_videos_are_named_and_the_others_predicted(
    root, checkpoint, fails, tmp_path, capsys
):
    broken, out = tmp_path / 'broken.mp4', tmp_path / 'out.json'
    broken.write_bytes((root / 'videos/a b.mp4').read_bytes()[:3000])
    videos = [broken, root / 'videos/a b.mp4']
    message = fails('predict.py', *videos, '--json', out, *network(root, checkpoint))
    assert message == 'error: 1 of 2 videos failed, for the reasons above'
    assert f'{broken}: does not decode' in capsys.readouterr().err
    failed, good = json.loads(out.read_text())
    assert failed.keys() == {'video', 'error'}
    assert len(good['classes']) == 5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nope.mp4'], 'nope.mp4: no such folder of videos, file or pattern'),
        (['no*.mp4'], 'no*.mp4: no such folder of videos, file or pattern'),
        (['.'], '.: no videos in it (.avi'),
        (['{video}', '--top', 0], '--top has to be at least 1'),
        (['{video}', '--workers', -1], 'workers=-1'),
        (['{video}', '--labels', 'nope.txt'], 'nope.txt: no readable label map'),
        (['{video}', '--labels', 'nine.txt'], 'nine.txt: 9 names, and the config has 10 classes'),
        (['{video}', '--json', 'nine.txt/out.json'], 'nine.txt/out.json: cannot write there'),
        (['{video}', '--json', '{folder}'], 'videos: cannot write there: it is a folder'),
        (['{video}', '--draw', '{folder}'], 'a b.mp4: is a video itself: give another folder'),
        (
            ['{video}', '--draw', 'nine.txt'],
            'nine.txt: name a folder, or for a single video a file',
        ),
        (['{folder}', '--draw', 'out.mp4'], 'out.mp4: name a folder, or for a single video a file'),
        (['{video}', '--draw', 'nine.txt/out'], 'nine.txt/out/a b.mp4: cannot write there'),
        (['{video}', '--segments', 'out.txt'], 'out.txt: name a folder, or for a single video a'),
        (['{folder}', '--segments', 'a.srt'], 'a.srt: name a folder, or for a single video a file'),
        (['{video}', '--segments', 'nine.txt/a.csv'], 'nine.txt/a.csv: cannot write there'),
        (['{video}', '--over-time'], '--over-time: add --json FILE'),
        (['{video}', '--show'], '--show: only with --live'),
        (['{video}', '--retries', 0], '--retries: only with --live'),
        (['rtsp://u:p@127.0.0.1/a'], 'error: rtsp://127.0.0.1/a: is a stream: add --live'),
        (['http://127.0.0.1:9/a'], 'http://127.0.0.1:9/a: cannot be fetched: '),
        (['0', '--json', '-'], '--json: not with --live'),
        (['{video}', '0'], '--live: one stream at a time, not 2'),
        (['0', '--draw', 'out'], 'out: name a file with .mp4 for --live'),
        (['0', '--draw', 'nine.txt/a.mp4'], 'nine.txt/a.mp4: cannot write there'),
        (['77'], 'camera 77: does not open: No such file or directory'),
        (['{video}', '--live', '--stride', 0], 'stride=0'),
        (['{video}', '--live', '--retries', -1], 'retries=-1'),
        (['{video}', '--live', '--smooth', -1], 'smooth=-1'),
        (['{video}', '--draw', 'out', '--stride', 0], 'stride=0: use at least'),
        (['{video}', '--device', 'tpu'], "device 'tpu'"),
    ],
)
def test_bad_arguments(root, checkpoint, fails, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'nine.txt').write_text('name\n' * 9)
    places = dict(video=root / 'videos/a b.mp4', folder=root / 'videos')
    arguments = [str(word).format(**places) for word in arguments]
    before = (root / 'videos/a b.mp4').read_bytes()
    options = network(root, checkpoint)
    at = options.index('--cfg-options')
    assert message in fails('predict.py', *options[:at], *arguments, *options[at:])
    assert (root / 'videos/a b.mp4').read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ['nine.txt']


@pytest.mark.parametrize('option', ['--json', '--draw', '--segments'])
@pytest.mark.parametrize('live', [[], ['--live']])
def test_outputs_are_checked_before_weights_are_loaded(root, fails, tmp_path, option, live):
    (tmp_path / 'file').write_text('')
    names = {'--json': 'a.json', '--draw': 'a.mp4', '--segments': 'a.csv'}
    out = tmp_path / 'file' / names[option]
    network = ['--config', CONFIGS['rgb'], '--checkpoint', 'nope.pth', *CPU]
    message = fails('predict.py', root / 'videos/a b.mp4', option, out, *live, *network)
    refused = live and option != '--draw'
    assert (f'{option}: not with --live' if refused else f'{out}: cannot write there') in message


def read(path):
    film = cv2.VideoCapture(str(path))
    frames = []
    while (got := film.read())[0]:
        frames.append(got[1])
    return film.get(cv2.CAP_PROP_FPS), np.stack(frames)


def test_drawn_copies(root, checkpoint, tool, tmp_path):
    names = tmp_path / 'names.txt'
    names.write_text('\n'.join(f'切 ñandú {"very " * i}long' for i in range(10)), encoding='utf-8')
    out = ['--draw', tmp_path / 'drawn', '--labels', names, '--stride', 4]
    large = write_video(tmp_path / 'large.mp4', 11, size=(640, 480))
    tool('predict.py', root / 'videos', *out, *network(root, checkpoint))
    tool('predict.py', large, *out, *network(root, checkpoint))
    pairs = {
        large: 'large.mp4',
        root / 'videos/a b.mp4': 'a b.mp4',
        root / 'videos/sub/short.mp4': 'sub/short.mp4',
        root / 'videos/sub/vidéo.avi': 'sub/vidéo.avi.mp4',
    }
    found = (path for path in (tmp_path / 'drawn').rglob('*') if path.is_file())
    assert {str(path.relative_to(tmp_path / 'drawn')) for path in found} == set(pairs.values())
    for video, name in pairs.items():
        (fps, before), (drawn_fps, after) = read(video), read(tmp_path / 'drawn' / name)
        assert drawn_fps == fps
        assert len(before) == len(after)
        height, width = (
            before.shape[1] * (factor := -(-360 // before.shape[1])),
            before.shape[2] * factor,
        )
        assert (width, min(height, width) >= 360) == (after.shape[2], True)
        resized = np.stack([cv2.resize(frame, (width, height)) for frame in before])
        assert np.abs(resized - after[:, :height].astype(int)).mean() < 12, 'the picture'
        assert after.shape[1] > height + 5 * 18, 'the strip'


def scores_in(dtype, root, checkpoint, tool, out):
    options = network(root, checkpoint, 'rgb', f'model.test_cfg.dtype={dtype}')
    tool('predict.py', root / 'videos', '--json', out, '--top', 10, *options)
    found = [entry['classes'] for entry in json.loads(out.read_text())]
    return np.array(
        [[c['score'] for c in sorted(classes, key=lambda c: c['number'])] for classes in found]
    )


def test_bfloat16(root, checkpoint, tool, tmp_path):
    exact, rounded = (
        scores_in(dtype, root, checkpoint, tool, tmp_path / f'{dtype}.json')
        for dtype in ('float32', 'bfloat16')
    )
    assert (exact != rounded).any()
    np.testing.assert_allclose(rounded, exact, atol=0.02)


def test_sources_of_class_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load_config(str(ROOT / 'configs/r2plus1d_18_kinetics.py'))
    assert class_names(cfg) == kinetics_400()
    own, stored, given = (
        [f'{kind} {i}' for i in range(400)] for kind in ('own', 'stored', 'given')
    )
    prepared = Path('data/kinetics400/label_map_kinetics400.txt')
    prepared.parent.mkdir(parents=True)
    prepared.write_text('\n'.join(own))
    Path(cfg.test_dataloader.dataset.ann_file).write_text('a.mp4 0\n')
    assert class_names(cfg) == own
    prepared.rename('elsewhere.txt')
    cfg.test_dataloader.dataset.metainfo = dict(classes='elsewhere.txt')
    assert class_names(cfg) == own
    assert class_names(cfg, 'a.pth', stored) == stored
    text = '\r\n'.join(given) + '\r\n\r\n'
    Path('given.txt').write_bytes(text.encode('utf-8-sig'))
    assert class_names(cfg, 'a.pth', stored, Path('given.txt')) == given
