"""Predictions of addresses, standard input and streams, and scores over time."""

import csv
import json
import os
import re
import sys
from base64 import b64encode
from threading import Thread

import cv2
import numpy as np
import pytest
from servers import http_server, send
from support import write_numbered, write_video
from untrained import CONFIGS, untrained

from r21d_plugin.cli.launch import load_config
from r21d_plugin.datasets.decoding import all_frames
from r21d_plugin.inference import live, outputs
from r21d_plugin.inference.predict import predict_over_time
from r21d_plugin.inference.recognizer import load_recognizer
from r21d_plugin.inference.sliding_window import SlidingWindow, WindowScores
from r21d_plugin.inference.video_inputs import pipeline_of


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('video') / 'a b.mp4', 30)


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    named = ['--config', CONFIGS['rgb'], '--checkpoint', untrained(tmp_path_factory.mktemp('net'))]
    return [*named, '--device', 'cpu', '--workers', 0]


@pytest.fixture
def over_time(video, network):
    """Compute scores over time with the library, stride 4."""
    cfg = load_config(str(CONFIGS['rgb']))
    model = load_recognizer(cfg, str(network[3]), 'cpu')
    return predict_over_time(model, SlidingWindow(pipeline_of(cfg), 4), video)


def without_name(entry):
    return {key: value for key, value in entry.items() if key != 'video'}


@pytest.mark.parametrize('with_length', [True, False])
def test_addresses_and_standard_input(
    video, network, tool, tmp_path, monkeypatch, capsys, with_length
):
    content = video.read_bytes()

    def answer(request):
        send(request, content, len(content) if with_length else None)

    reader, writer = os.pipe()

    def write():
        with open(writer, 'wb') as file:
            file.write(content)

    Thread(target=write, daemon=True).start()
    out = ['--json', '-', '--draw', tmp_path / 'drawn']
    with http_server(answer) as address, open(reader) as pipe:
        monkeypatch.setattr(sys, 'stdin', pipe)
        sources = [video, f'{address}/x/a%20b.mp4?token=1', f'{address}/y/a%20b.mp4', '-']
        tool('predict.py', *sources, *out, *network)
    entries = json.loads(capsys.readouterr().out)
    assert [entry['video'] for entry in entries] == [*map(str, sources[:3]), 'standard input']
    assert all(without_name(entry) == without_name(entries[0]) for entry in entries)
    names = {path.name for path in (tmp_path / 'drawn').iterdir()}
    assert names == {'a b.mp4', '_a b.mp4', '1_a b.mp4', 'stdin.mp4'}


def test_a_password_in_an_address(video, network, tool, fails, capsys):
    content, received = video.read_bytes(), []

    def answer(request):
        received.append(request.headers['Authorization'])
        send(request, content, len(content))

    with http_server(answer) as address:
        secret = address.replace('//', '//user:pass%20word@')
        tool('predict.py', f'{secret}/a.mp4', '--json', '-', *network)
    assert received == [f'Basic {b64encode(b"user:pass word").decode()}']
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry['video'] == f'{address}/a.mp4'
    message = fails('predict.py', 'http://user:word@127.0.0.1:1/a.mp4', *network)
    assert message.startswith('error: http://127.0.0.1:1/a.mp4: cannot be fetched')
    assert 'word' not in message


def test_addresses_that_fail(video, network, fails, capsys):
    content = video.read_bytes()

    def answer(request):
        if request.path == '/short':
            send(request, content[:-100], len(content))
        elif request.path == '/text':
            send(request, b'text', 4)
        else:
            request.send_error(404)

    with http_server(answer) as address:
        message = fails('predict.py', f'{address}/short', *network)
        sent = f'{len(content) - 100} of {len(content)} bytes'
        assert message == f'error: {address}/short: the server sent {sent}: try again'
        message = fails('predict.py', f'{address}/a', *network)
        assert message == f'error: {address}/a: cannot be fetched: HTTP Error 404: Not Found'
        assert '1 of 1 videos failed' in fails('predict.py', f'{address}/text', *network)
        assert f'{address}/text: does not decode' in capsys.readouterr().err


def test_json_over_time(video, network, tool, capsys, over_time):
    tool('predict.py', video, '--json', '-', '--over-time', '--stride', 4, '--top', 10, *network)
    (entry,) = json.loads(capsys.readouterr().out)
    assert [(clip['start'], clip['end']) for clip in entry['times']] == [
        (round(start / 25, 3), round(end / 25, 3))
        for start, end in zip(over_time.starts.tolist(), over_time.ends.tolist())
    ]
    for clip, values in zip(entry['times'], over_time.values):
        scores = {found['number']: found['score'] for found in clip['classes']}
        np.testing.assert_allclose([scores[i] for i in range(10)], values, atol=1e-6)


def test_times_of_a_varying_rate(network, tool, tmp_path, capsys):
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 20)).round(3)
    video = write_numbered(tmp_path / 'a.mp4', times.tolist())
    tool('predict.py', video, '--json', '-', '--over-time', '--stride', 6, *network)
    (entry,) = json.loads(capsys.readouterr().out)
    shown = times - times[0]
    assert [clip['start'] for clip in entry['times']] == pytest.approx(shown[[0, 6, 12]], abs=2e-3)
    assert [clip['end'] for clip in entry['times'][:2]] == pytest.approx(shown[[8, 14]], abs=2e-3)


@pytest.fixture
def known_scores(monkeypatch):
    """Class 3 is above 0.5 in the first two clips of a video, class 0 in the last one."""
    values = np.full((3, 10), 0.01, np.float32)
    values[:2, 3] = 0.8, 0.6
    values[2, 0] = 0.9

    def scores(model, window, video):
        starts = np.array([0, 5, 15])
        seconds = np.stack([starts, starts + 10], 1) / 25
        return WindowScores(values, starts, starts + 10, 25, 25.0, seconds)

    monkeypatch.setattr(outputs, 'predict_over_time', scores)


def test_segments_without_a_frame_rate(video, network, tool, tmp_path, monkeypatch, capsys):
    def scores(model, window, video):
        return WindowScores(np.full((1, 10), 0.1), np.zeros(1), np.ones(1), 25, 0.0, None)

    monkeypatch.setattr(outputs, 'predict_over_time', scores)
    with pytest.raises(SystemExit):
        tool('predict.py', video, *network, '--segments', tmp_path / 'a.srt')
    assert 'has no frame rate, which the seconds of clips need' in capsys.readouterr().err
    assert not (tmp_path / 'a.srt').exists()


def test_segments(video, network, tool, tmp_path, known_scores):
    (tmp_path / 'names.txt').write_text('\n'.join(f'name {i}' for i in range(10)))
    labels = ['--labels', tmp_path / 'names.txt', *network]
    other = write_video(tmp_path / 'b.avi', 30)
    broken = tmp_path / 'broken.mp4'
    broken.write_text('text')
    tool('predict.py', video, '--segments', tmp_path / 'a.srt', *labels)
    expected = (
        '1\n00:00:00,000 --> 00:00:00,600\nname 3 0.70\n\n'
        '2\n00:00:00,600 --> 00:00:01,000\nname 0 0.90\n'
    )
    assert (tmp_path / 'a.srt').read_text() == expected
    tool('predict.py', video, other, '--segments', tmp_path / 'subtitles', *labels)
    made = list((tmp_path / 'subtitles').rglob('*.srt'))
    assert sorted(path.name for path in made) == ['a b.srt', 'b.avi.srt']
    assert all(path.read_text() == expected for path in made)
    with pytest.raises(SystemExit):
        tool('predict.py', video, broken, other, '--segments', tmp_path / 'all.csv', *labels)
    with open(tmp_path / 'all.csv', newline='') as file:
        rows = list(csv.reader(file))
    one = [['0.000', '0.600', 'name 3', '0.7000'], ['0.600', '1.000', 'name 0', '0.9000']]
    assert rows[1:] == [[str(path), *row] for path in (video, other) for row in one]
    high = ['--segments', tmp_path / 'high.csv', '--threshold', 0.85]
    tool('predict.py', video, *high, *labels)
    assert (tmp_path / 'high.csv').read_text().count('name') == 1


def test_segments_of_real_scores(video, network, tool, tmp_path, over_time):
    options = ['--segments', tmp_path / 'a.csv', '--stride', 4, '--threshold', 0.15]
    tool('predict.py', video, *options, *network)
    with open(tmp_path / 'a.csv', newline='') as file:
        found = {row['class'] for row in csv.DictReader(file)}
    expected = np.flatnonzero((over_time.values > 0.15).any(0))
    assert found == {str(number) for number in expected}
    assert found


LINE = re.compile(r' *(\d+\.\d\d) s((?:  \S+ \d+\.\d%)+)')


def test_live(video, network, tool, tmp_path, capsys, over_time):
    options = ['--live', '--stride', 4, '--smooth', 0, '--top', 3, '--draw', tmp_path / 'live.mp4']
    tool('predict.py', video, *options, *network)
    printed, told = capsys.readouterr()
    lines = [LINE.fullmatch(line) for line in printed.splitlines()]
    assert [float(line[1]) for line in lines] == [
        round((end - 1) / 25, 2) for end in over_time.ends
    ]
    for line, values in zip(lines, over_time.values):
        best = values.argsort()[::-1][:3]
        assert line[2].split()[1::2] == [f'{values[number]:.1%}' for number in best]
    assert re.search(r'6 clips scored, .* a second; latency \d+ ms .*; 0 clips dropped', told)
    drawn = np.stack(list(all_frames(str(tmp_path / 'live.mp4'))))
    assert drawn.shape[:3] == (30, 72 * 5 + 3 * 18 + 6, 480)


def test_numbers(video, network, tool, fails, capsys):
    """The values of a head for numbers are not percentages and have no bars."""
    loss = ['--cfg-options', 'model.cls_head.loss_cls.type=r21d_plugin.RegressionLoss']
    common = [video, '--top', 1, '--stride', 4, *network, *loss]
    tool('predict.py', '--json', '-', '--over-time', *common)
    (entry,) = json.loads(capsys.readouterr().out)
    tool('predict.py', *common)
    tool('predict.py', '--live', '--smooth', 0, *common)
    lines = capsys.readouterr().out.splitlines()
    values = [clip['classes'][0]['score'] for clip in entry['times']]
    assert max(values) > 1
    numbers = [entry['classes'][0]['score'], *values]
    printed = [lines[1], *lines[-len(values) :]]
    assert [line.split()[-1] for line in printed] == [f'{number:.4g}' for number in numbers]
    message = fails('predict.py', '--draw', 'drawn', *common)
    assert message == 'error: --draw and --show: draw classes, and the head gives numbers'
    message = fails('predict.py', '--segments', 'a.csv', *common)
    assert message == 'error: --segments: writes classes, and the head gives numbers'


@pytest.mark.parametrize(
    ('option', 'message'),
    [('--smooth', '--smooth: only with --live'), ('--threshold', '--threshold: only with --segm')],
)
def test_options_without_effect(video, network, fails, option, message):
    assert message in fails('predict.py', video, option, 0.5, *network)


def test_a_live_window(video, network, tool, monkeypatch):
    shown = []
    monkeypatch.setenv('DISPLAY', ':0')
    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: 'GUI: QT5')
    monkeypatch.setattr(cv2, 'imshow', lambda title, frame: shown.append(frame))
    monkeypatch.setattr(cv2, 'waitKey', lambda milliseconds: -1)
    tool('predict.py', video, '--live', '--show', *network)
    assert len(shown) == 30


def test_control_c_ends_a_stream(video, network, tool, tmp_path, monkeypatch, capsys):
    scores = iter([np.zeros(10), np.ones(10)])

    def score_clip(*args):
        try:
            return next(scores)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(live, 'score_clip', score_clip)
    drawn = tmp_path / 'live.mp4'
    tool('predict.py', video, '--live', '--stride', 1, '--draw', drawn, *network)
    printed, told = capsys.readouterr()
    assert len(printed.splitlines()) == 2
    assert '2 clips scored' in told
    assert 8 <= len(list(all_frames(str(drawn)))) < 30


def test_a_stream_that_breaks_for_good(network, fails, tmp_path, capsys):
    broken = tmp_path / 'a.mp4'
    broken.write_text('text')
    message = fails('predict.py', broken, '--live', *network)
    assert message.startswith(f'error: {broken}: does not open: ')
