"""Streams: their clips, memory use, and broken connections."""

import os
import sys
import weakref
from fractions import Fraction
from threading import Thread

import numpy as np
import pytest
import torch
from servers import http_server, rtsp_server, send
from support import write_numbered, write_video
from untrained import CONFIGS, untrained

from r21d_plugin import InputError
from r21d_plugin.cli.launch import load_config
from r21d_plugin.datasets.decoding import ReadFrames
from r21d_plugin.inference import live
from r21d_plugin.inference.live import (
    ClipBuffer,
    Frame,
    Latencies,
    LiveClips,
    Smoothing,
    live_window,
    load_clip,
    score_clip,
)
from r21d_plugin.inference.predict import predict_over_time
from r21d_plugin.inference.recognizer import load_recognizer
from r21d_plugin.inference.sliding_window import SlidingWindow
from r21d_plugin.inference.sources import is_endless
from r21d_plugin.inference.video_inputs import pipeline_of


def pipeline(stream='rgb', **sampling):
    steps = pipeline_of(load_config(str(CONFIGS[stream])))
    steps[1].update(sampling)
    return steps


def play(source, steps, stride=4, **options):
    """Play a stream; return its clips and notifications."""
    lines = []
    with LiveClips(
        str(source), live_window(steps), stride, notify=lines.append, **options
    ) as clips:
        return list(clips), lines


def pixels(packed):
    inputs = packed['inputs']
    return inputs if isinstance(inputs, dict) else dict(imgs=inputs)


def steady(path, rate, frames=60):
    return write_numbered(path, [i / rate for i in range(frames)], rate=rate)


MADE = {
    'steady': lambda folder: steady(folder / 'a.mp4', Fraction(25)),
    'rounded times': lambda folder: steady(folder / 'a.mkv', Fraction(30000, 1001)),
    'varying': lambda folder: write_numbered(
        folder / 'a.mp4', np.cumsum(np.random.default_rng(0).uniform(0.01, 0.1, 40)).tolist()
    ),
    'few times': lambda folder: write_numbered(
        folder / 'a.avi', [i / 25 for i in range(40)], codec='mpeg4', bf='2'
    ),
    'short': lambda folder: write_video(folder / 'a.mp4', 5),
}
SAMPLING = {
    'frames': {},
    'steps': dict(frame_interval=3),
    'time': dict(target_fps=15),
    'slow': dict(target_fps=4, frame_interval=2, clip_len=3),
    'fast': dict(target_fps=50),
}


@pytest.mark.parametrize('sampling', SAMPLING)
@pytest.mark.parametrize('made', MADE)
@pytest.mark.parametrize('stride', [5, 20])
def test_clips_of_a_file_are_those_that_slide(tmp_path, made, sampling, stride):
    video, steps = MADE[made](tmp_path), pipeline(**SAMPLING[sampling])
    expected = [batch.packed for batch in SlidingWindow(steps, stride, 1).batches(video)]
    clips, _ = play(video, steps, stride)
    found = [load_clip(live_window(steps), clip) for clip in clips]
    assert len(found) == len(expected)
    assert all(torch.equal(a['inputs'], b['inputs']) for a, b in zip(found, expected))


@pytest.mark.parametrize('stream', CONFIGS)
def test_scores_of_a_file_are_those_over_time(tmp_path, stream):
    video = write_video(tmp_path / 'a.mp4', 30)
    model = load_recognizer(
        load_config(str(CONFIGS[stream])), str(untrained(tmp_path, stream)), 'cpu'
    )
    expected = predict_over_time(model, SlidingWindow(pipeline(stream), 4), video)
    clips, _ = play(video, pipeline(stream))
    window = live_window(pipeline(stream))
    scores = np.stack([score_clip(model, window, clip) for clip in clips])
    np.testing.assert_allclose(scores, expected.values, atol=1e-5)
    ends = [(end - 1) / 25 for end in expected.ends]
    np.testing.assert_allclose([clip.end for clip in clips], ends, atol=1e-3)


@pytest.fixture
def kept(monkeypatch):
    """Count the resized frames in memory: now, and the maximum."""
    counts = dict(now=0, most=0)
    resize = ReadFrames.resize

    def gone():
        counts['now'] -= 1

    def counted(self, frame):
        image = resize(self, frame)
        counts['now'] += 1
        counts['most'] = max(counts.values())
        weakref.finalize(image, gone)
        return image

    monkeypatch.setattr(ReadFrames, 'resize', counted)
    return counts


@pytest.fixture
def endless(monkeypatch, tmp_path):
    """Make a file act as a stream of numbered frames, as many as given."""
    video = write_video(tmp_path / 'a.mp4', 2)

    def stream(frames, cannot_wait):
        def read_frames(container):
            for i in range(frames):
                yield np.full((72, 96, 3), i % 256, np.uint8), i / 25

        monkeypatch.setattr(live, 'read_frames', read_frames)
        clips = LiveClips(str(video), live_window(pipeline()), 4, retries=0)
        clips.cannot_wait = cannot_wait
        return clips

    return stream


def test_a_long_stream_that_waits_keeps_a_few_frames(endless, kept):
    with endless(3000, cannot_wait=False) as clips:
        numbers = [clip.frames[0].image[0, 0, 0] for clip in clips]
    assert numbers == [i % 256 for i in range(0, 2996, 4)]
    assert clips.dropped == 0
    # Frames of the buffer, the waiting clip, the clip being put and the clip being taken.
    assert kept['most'] <= 4 * 8


def test_a_long_stream_that_cannot_wait_keeps_the_newest_clip(endless, kept):
    with endless(3000, cannot_wait=True) as clips:
        while clips.thread.is_alive():
            clips.thread.join(0.1)  # the thread ends after the last clip is taken
            if clips.dropped == 748:
                break
        last = [clip.frames[-1].image[0, 0, 0] for clip in clips][-1]
    assert last == 2999 % 256
    assert clips.dropped == 748
    assert kept['most'] <= 4 * 8


def test_missing_timestamps_do_not_grow_the_buffer():
    buffer = ClipBuffer(live_window(pipeline(target_fps=5)), 1, fps=25.0)
    clips = [
        clip
        for i in range(500)
        for clip in buffer.add(Frame(np.zeros((4, 4, 3), np.uint8), i / 25))
    ]
    assert len(clips) == 500 - 35
    assert len(buffer.frames) <= 36


@pytest.fixture
def transport_stream(tmp_path):
    return write_numbered(tmp_path / 'a.ts', [i / 25 for i in range(30)], g='10')


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(live, 'LONGEST_WAIT', 0.01)


def test_a_stream_that_ends_is_opened_again(transport_stream, short_waits):
    content, requests = transport_stream.read_bytes(), []

    def answer(request):
        requests.append(request.path)
        if len(requests) > 3:
            request.send_error(503)
        else:
            send(request, content)

    lines, ends = [], []
    with http_server(answer) as address:
        address = address.replace('//', '//me:secret@')
        clips = LiveClips(f'{address}/a', live_window(pipeline()), 4, 2, lines.append)
        assert clips.cannot_wait
        with clips, pytest.raises(InputError, match=r'^http://127\S+: broke: .+') as error:
            ends.extend(clip.end for clip in clips)
    assert len(requests) == 3 + 2
    name = clips.name
    assert 'secret' not in ''.join([name, *lines, str(error.value)])
    assert [line.split(': ')[0] for line in lines] == [name] * 4
    assert all(line.endswith(': trying again in 0.01 s') for line in lines)
    assert ends == sorted(ends)


def test_a_download_that_breaks_off(tmp_path, short_waits):
    content = write_video(tmp_path / 'a.avi', 60).read_bytes()
    requests = []

    def answer(request):
        requests.append(request.path)
        part = content if len(requests) > 2 else content[: len(content) // 2]
        send(request, part, len(content))

    with http_server(answer) as address:
        source = f'{address}/a.avi'
        with pytest.raises(InputError, match=r'/a\.avi: broke: '):
            play(source, pipeline())
        requests.clear()
        clips, lines = play(source, pipeline(), retries=3)
    assert len(lines) in (1, 2)
    assert clips[-1].end > 2


def test_a_file_called_like_a_protocol():
    assert not is_endless('rtsp_camera.mp4')
    assert is_endless('rtsp://localhost/a')


def test_rtsp(transport_stream, short_waits):
    with rtsp_server(transport_stream, 2) as address:
        clips = LiveClips(address, live_window(pipeline()), 4, 1, lambda line: None)
        found = []
        with clips, pytest.raises(InputError, match=r'rtsp://127\S+: broke: '):
            found.extend(clips)
    assert clips.cannot_wait
    assert clips.dropped + len(found) >= 10


def test_a_pipe(transport_stream, monkeypatch):
    out, into = os.pipe()

    def write():
        with open(into, 'wb') as file:
            file.write(transport_stream.read_bytes())

    Thread(target=write, daemon=True).start()
    with open(out) as pipe:
        monkeypatch.setattr(sys, 'stdin', pipe)
        clips, _ = play('-', pipeline())
    expected, _ = play(transport_stream, pipeline())
    assert [clip.end for clip in clips] == [clip.end for clip in expected]


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('nope.mp4', 'nope.mp4: does not open: No such file or directory'),
        ('text.mp4', 'text.mp4: does not open: Invalid data found when processing input'),
        ('sound.wav', 'sound.wav: does not open: it has no video'),
        (
            'http://me:secret@127.0.0.1:9/a',
            'http://127.0.0.1:9/a: does not open: Connection refused',
        ),
        ('rtsp://127.0.0.1:9/a', 'rtsp://127.0.0.1:9/a: does not open: Connection refused'),
        ('77', 'camera 77: does not open: No such file or directory'),
    ],
)
def test_sources_that_do_not_open(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'text.mp4').write_text('text')
    sound = (
        b'RIFF\x44\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x20\0\0\0'
    )
    (tmp_path / 'sound.wav').write_bytes(sound + bytes(32))
    with pytest.raises(InputError) as error:
        LiveClips(source, live_window(pipeline()), 4)
    assert str(error.value) == message


def test_pipelines_without_frames(tmp_path):
    steps = [step for step in pipeline() if 'ReadFrames' not in step['type']]
    with pytest.raises(InputError, match='a test pipeline with r21d_plugin'):
        play(write_video(tmp_path / 'a.mp4', 9), steps)


def test_smoothing():
    assert Smoothing(0).add(np.array([1.0]), 3) == [1]
    smoothing = Smoothing(2)
    values = [smoothing.add(np.array([float(t > 4)]), t)[0] for t in np.arange(0, 20, 0.5)]
    assert values[8] == 0
    after = values[12]  # two seconds later
    assert after == pytest.approx(1 - np.exp(-1))
    assert values[-1] > 0.99
    with pytest.raises(InputError, match='smooth=-1'):
        Smoothing(-1)


def test_latencies(monkeypatch):
    now = iter([0.0, *np.arange(1, 5001) / 10, 500.0])
    monkeypatch.setattr(live.time, 'monotonic', lambda: next(now))
    latencies = Latencies()
    for i in range(5000):
        latencies.add((i + 1) / 10 - (0.5 if i % 10 == 0 else 0.05))
    assert len(latencies.seconds) == 1000
    line = '5000 clips scored, 10.0 a second; latency 50 ms (median), 500 ms (95th percentile)'
    assert str(latencies) == line
