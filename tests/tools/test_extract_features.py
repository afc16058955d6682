"""Features, compared with those computed by hand, and extraction that is resumed."""

import json
import signal
import subprocess
import time

import mmcv
import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from support import ROOT, write_video
from untrained import CONFIGS, untrained, write_videos

from r21d_plugin._compat import pairwise
from r21d_plugin.cli.launch import load_config
from r21d_plugin.datasets.flow import farneback
from r21d_plugin.weights import load_state_dict_of

TOOL = 'extract_features.py'
CPU = ['--device', 'cpu', '--workers', 0]


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    write_videos(folder)
    return folder


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp('checkpoints')
    return {stream: untrained(folder, stream) for stream in CONFIGS}


@pytest.fixture
def network(checkpoints):
    """Return arguments for a network."""
    return named(checkpoints, 'rgb')


def named(checkpoints, stream):
    return ['--config', CONFIGS[stream], '--checkpoint', checkpoints[stream], *CPU]


def by_hand(path, stream, checkpoint, starts, clip_len=8):
    """Compute the features of clips, also looped ones, without pipeline, recognizer or head."""
    decord = pytest.importorskip('decord')
    reader = decord.VideoReader(str(path))
    frames = [mmcv.imresize(reader[i].asnumpy(), (64, 64))[8:56, 8:56] for i in range(len(reader))]
    taken = clip_len + (stream != 'rgb')
    clips = [[frames[(start + t) % len(frames)] for t in range(taken)] for start in starts]
    cfg = load_config(str(CONFIGS[stream]))
    backbone = MODELS.build(cfg.model.backbone).eval()
    state = load_state_dict_of(str(checkpoint))
    own = {k.replace('backbone.', '', 1): v for k, v in state.items() if k.startswith('backbone.')}
    backbone.load_state_dict(own)
    rgb = np.float32([clip[:clip_len] for clip in clips])
    rgb = (rgb - np.float32([110.201, 100.64, 95.9966])) / [58.1489, 56.4701, 55.3324]
    inputs = [rgb]
    if stream != 'rgb':
        gray = [[mmcv.bgr2gray(mmcv.rgb2bgr(frame)) for frame in clip] for clip in clips]
        flow = np.stack([[farneback(a, b) for a, b in pairwise(g)] for g in gray])
        flow = (flow - np.float32([0.0046635, 0.0046261])) / [0.972347, 0.755146]
        inputs = [flow] if stream == 'flow' else [rgb, flow]
    tensors = [torch.tensor(x, dtype=torch.float32).permute(0, 4, 1, 2, 3) for x in inputs]
    with torch.no_grad():
        maps = backbone(*tensors)
    maps = maps if isinstance(maps, tuple) else (maps,)
    return torch.cat([values.mean((2, 3, 4)) for values in maps], dim=1).numpy()


@pytest.mark.parametrize('stream', CONFIGS)
def test_features_are_those_computed_by_hand(videos, checkpoints, stream, tool, tmp_path):
    out = ['--out', tmp_path / 'out', '--stride', 5, '--batch-size', 2]
    tool(TOOL, videos, *out, *named(checkpoints, stream))
    # A clip of flow needs a ninth frame, and 8 + 3 * 5 = 23 are more than 21.
    expected = {'a b.mp4': [0, 5, 10], 'sub/vidéo.avi': [0, 5], 'sub/short.mp4': [0]}
    for name, starts in expected.items():
        features = np.load(tmp_path / f'out/{name}.npy')
        known = json.loads((tmp_path / f'out/{name}.json').read_text())
        assert known['starts'] == starts
        assert known['fps'] == 25
        assert features.dtype == np.float32
        assert features.shape == (len(starts), 128 if stream == 'twostream' else 64)
        if stream != 'rgb' and name == 'sub/short.mp4':
            continue  # the flow is zero where the video starts over, unlike in by_hand
        manual = by_hand(videos / name, stream, checkpoints[stream], starts)
        np.testing.assert_allclose(features, manual, rtol=1e-3, atol=1e-4)
        assert np.ptp(features, axis=1).min() > 0.1


def test_a_list_and_a_second_run(videos, network, tool, tmp_path, capsys):
    (tmp_path / 'list.txt').write_text(
        ''.join(f'{path}\n' for path in sorted(videos.rglob('*.*'))), encoding='utf-8'
    )
    listed = ['--list', tmp_path / 'list.txt', '--out', tmp_path / 'out']
    tool(TOOL, *listed, *network)
    assert '3 computed, 0 there already' in capsys.readouterr().out
    settings = json.loads((tmp_path / 'out/settings.json').read_text())
    assert settings['stride'] == settings['clip_len'] == 8
    assert settings['config'] == str(CONFIGS['rgb'])
    assert settings['checkpoint'].endswith('rgb_0.pth')

    before = contents(tmp_path / 'out')
    names = ('a b.mp4', 'sub/vidéo.avi', 'sub/short.mp4')
    expected = {f'{name}.{suffix}' for name in names for suffix in ('npy', 'json')}
    assert before.keys() == expected | {'settings.json'}
    tool(TOOL, *listed, *network)
    assert '0 computed, 3 there already' in capsys.readouterr().out
    assert contents(tmp_path / 'out') == before


def test_clips_of_a_frame_rate(videos, network, tool, fails, tmp_path):
    """At half the rate, a clip and the step to the next one last twice as long."""
    rate = ['--cfg-options', 'test_dataloader.dataset.pipeline.1.target_fps=12.5']
    out = ['--out', tmp_path / 'out']
    tool(TOOL, videos, *out, *network, *rate)
    known = json.loads((tmp_path / 'out/a b.mp4.json').read_text())
    assert known['starts'] == [0]
    assert 'stride' in fails(TOOL, videos, *out, *network, *rate, '--stride', 16)
    tool(TOOL, videos, '--out', tmp_path / 'dense', *network, *rate, '--stride', 4)
    known = json.loads((tmp_path / 'dense/a b.mp4.json').read_text())
    assert known['starts'] == list(range(0, known['frames'] - 14, 4))


def contents(folder):
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def test_more_videos_and_a_changed_one(network, tool, tmp_path, capsys):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for i in range(2):
        write_video(folder / f'{i}.mp4', frames=20, seed=i)
    arguments = [folder, '--out', tmp_path / 'out', *network]
    tool(TOOL, *arguments)
    write_video(folder / '1.mp4', frames=30)
    write_video(folder / '2.mp4', frames=12)
    tool(TOOL, *arguments)
    assert '2 computed, 1 there already' in capsys.readouterr().out
    clips = {path.stem: len(np.load(path)) for path in (tmp_path / 'out').glob('*.npy')}
    assert clips == {'0.mp4': 2, '1.mp4': 3, '2.mp4': 1}


def test_other_settings_are_not_mixed_in(videos, checkpoints, network, fails, tool, tmp_path):
    arguments = [TOOL, videos, '--out', tmp_path / 'out']
    tool(*arguments, *network)
    message = fails(*arguments, *network, '--stride', 4)
    held = f'{tmp_path / "out"}: holds features of {CONFIGS["rgb"]} and {checkpoints["rgb"]}'
    assert message == (
        f'error: {held} with stride 8; the network, weights, pipeline or stride differ now: '
        'choose another output'
    )
    others = [
        named(checkpoints, 'flow'),
        [*network, '--checkpoint', untrained(tmp_path, seed=1)],
        [*network, '--cfg-options', 'model.data_preprocessor.mean=[1,2,3]'],
        [*network, '--cfg-options', 'test_dataloader.dataset.pipeline.2.scale=(60,60)'],
    ]
    for other in others:
        assert held in fails(*arguments, *other)
    # The place of the weights and the number of test clips do not count.
    tool(
        *arguments,
        *network,
        '--checkpoint',
        untrained(tmp_path),
        '--cfg-options',
        'test_dataloader.dataset.pipeline.1.num_clips=3',
    )


def test_broken_videos_are_listed(network, tool, fails, tmp_path, capsys):
    folder = tmp_path / 'videos'
    folder.mkdir()
    content = write_video(folder / 'good.mp4', frames=40).read_bytes()
    (folder / 'half.mp4').write_bytes(content[: len(content) // 2])
    (folder / 'gone.mp4').symlink_to(folder / 'nowhere.mp4')
    arguments = [folder, '--out', tmp_path / 'out', *network, '--workers', 1]
    tool(TOOL, *arguments)
    report = tmp_path / 'out/broken_videos.txt'
    assert f'1 computed, 0 there already, 2 broken: see {report}' in capsys.readouterr().out
    lines = report.read_text().splitlines()
    assert [line.split(':')[0] for line in lines] == [f'{folder}/gone.mp4', f'{folder}/half.mp4']
    (folder / 'good.mp4').unlink()
    assert fails(TOOL, *arguments) == f'error: {report}: none of the videos decodes'
    for name in ('half.mp4', 'gone.mp4'):
        (folder / name).unlink()
    write_video(folder / 'other.mp4', frames=8)
    tool(TOOL, *arguments)
    assert '1 computed, 0 there already\n' in capsys.readouterr().out
    assert not report.exists()


@pytest.mark.parametrize('kill', [signal.SIGKILL, signal.SIGINT])
def test_resumes_after_a_kill(checkpoints, python, tool, tmp_path, capsys, kill):
    folder, out = tmp_path / 'videos', tmp_path / 'out'
    folder.mkdir()
    for i in range(12):
        write_video(folder / f'{i:02d}.mp4', frames=60, seed=i)
    arguments = [folder, '--out', out, '--stride', 1, *named(checkpoints, 'rgb'), '--workers', 1]
    process = subprocess.Popen(
        [python, ROOT / 'tools' / TOOL, *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )
    while len(list(out.glob('*.json'))) < 4:  # one of them is settings.json
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(kill)
    message = process.communicate()[1]
    if kill == signal.SIGINT:
        assert process.returncode == 1
        assert message.splitlines()[-1].startswith('error: stopped')
        assert 'Traceback' not in message
    done = {path: path.stat().st_mtime_ns for path in out.glob('[0-9]*.npy')}
    complete = sum(path.with_suffix('.json').exists() for path in done)
    assert 3 <= complete <= len(done) < 12
    assert all(np.load(path).shape == (53, 64) for path in done)

    tool(TOOL, *arguments)
    counts = f'{12 - complete} computed, {complete} there already'
    assert counts in capsys.readouterr().out
    assert sorted(path.stem for path in out.glob('*.npy')) == [f'{i:02d}.mp4' for i in range(12)]
    assert all(np.load(path).shape == (53, 64) for path in out.glob('*.npy'))
    kept = [path for path, time in done.items() if path.stat().st_mtime_ns == time]
    assert len(kept) == complete
    assert not [path for path in out.glob('.*') if path.stem.startswith('.0')]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nope', '--out', 'out'], 'nope: no such folder of videos, file or pattern'),
        (['{folder}/*.xyz', '--out', 'out'], '.xyz: no such folder of videos'),
        (['--list', 'nope.txt', '--out', 'out'], 'nope.txt: cannot read it: No such file'),
        (['--list', 'empty.txt', '--out', 'out'], 'empty.txt: no videos in this list'),
        (['{folder}', '--out', 'out', '--stride', 0], 'stride=0: use at least 1 frame'),
        (['{folder}', '--out', 'out', '--batch-size', 0], 'batch_size=0: at least 1 clip'),
        (['{folder}', '--out', 'empty.txt'], 'empty.txt/settings.json: cannot write there'),
    ],
)
def test_bad_arguments(videos, network, fails, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty.txt').write_text('\n')
    arguments = [str(word).format(folder=videos) for word in arguments]
    assert message in fails(TOOL, *arguments, *network)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['empty.txt']


def test_weights_for_other_inputs(videos, checkpoints, fails, tmp_path):
    arguments = named(dict(checkpoints, flow=checkpoints['rgb']), 'flow')
    message = fails(TOOL, videos, '--out', tmp_path / 'out', *arguments)
    assert 'R(2+1)D-18 with in_channels=3, not in_channels=2' in message
    assert not (tmp_path / 'out').exists()


def test_bfloat16(videos, network, tool, fails, tmp_path):
    arguments = [TOOL, videos / 'a b.mp4', *network, '--out']
    tool(*arguments, tmp_path / 'exact')
    option = ['--cfg-options', 'model.test_cfg.dtype=bfloat16']
    tool(*arguments, tmp_path / 'rounded', *option)
    exact, rounded = (np.load(tmp_path / f'{n}/a b.mp4.npy') for n in ('exact', 'rounded'))
    assert rounded.dtype == np.float32
    assert (exact != rounded).any()
    np.testing.assert_allclose(rounded, exact, rtol=0.1, atol=0.02 * exact.max())
    assert 'exact: holds features' in fails(*arguments, tmp_path / 'exact', *option)
