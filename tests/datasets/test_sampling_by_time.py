"""Clips of a fixed frame rate, from videos of any frame rate."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from mmengine.dataset import Compose

from r21d_plugin import InputError
from r21d_plugin._errors import VideoInputError
from r21d_plugin.datasets import SampleFramesOfClips
from r21d_plugin.datasets.pipelines import clip_pipelines
from r21d_plugin.inference.sliding_window import SlidingClips

NTSC = Fraction(30000, 1001)


def opened(frames, fps, timestamps=None):
    """Return the results of OpenVideo for a video."""
    reader = SimpleNamespace(timestamps=timestamps)
    return dict(
        filename='a.mp4',
        total_frames=frames,
        start_index=0,
        avg_fps=float(fps),
        video_reader=reader,
    )


def in_milliseconds(frames, fps):
    """Return the timestamps of a constant frame rate, rounded as in Matroska."""
    return np.round(np.arange(frames) * 1000 / float(fps)) / 1000


def sample(kind, video, seed=0, **arguments):
    np.random.seed(seed)
    return kind(**arguments).transform(dict(video))


TESTS = [dict(num_clips=clips, test_mode=True) for clips in (1, 2, 10)]
TRAINING = [dict(num_clips=clips) for clips in (1, 3)]


@pytest.mark.parametrize('frames', [1, 2, 15, 30, 31, 32, 33, 47, 300])
@pytest.mark.parametrize('written', ['mp4', 'mkv'])
@pytest.mark.parametrize('more', [*TESTS, *TRAINING, dict(out_of_bound_opt='repeat_last')], ids=str)
@pytest.mark.parametrize('flow_gap', [0, 1])
def test_at_30_frames_per_second_every_other_frame_is_used(frames, written, more, flow_gap):
    timestamps = in_milliseconds(frames, 30) if written == 'mkv' else None
    video = opened(frames, 30, timestamps)
    arguments = dict(more, clip_len=16, flow_gap=flow_gap)
    for seed in range(3):
        every_other = sample(SampleFramesOfClips, video, seed, **arguments, frame_interval=2)
        by_time = sample(SampleFramesOfClips, video, seed, **arguments, target_fps=15)
        np.testing.assert_array_equal(by_time['frame_inds'], every_other['frame_inds'])
        for key in ('clip_len', 'num_clips', *(['rgb_offsets'] if flow_gap else [])):
            np.testing.assert_array_equal(by_time[key], every_other[key])


@pytest.mark.parametrize('frames', [1, 31, 32, 62, 63, 64, 300])
@pytest.mark.parametrize('stride', [None, 1, 7])
def test_windows_of_30_frames_a_second(frames, stride):
    arguments = dict(clip_len=16, stride=stride)
    every_other, by_time = (
        sample(SlidingClips, opened(frames, 30), **arguments, **rate)['frame_inds']
        for rate in (dict(frame_interval=2), dict(target_fps=15))
    )
    np.testing.assert_array_equal(by_time, every_other)


def shown_at(times, end, moment):
    """Return the number of the frame shown at a time of a looped video."""
    return max(i for i, start in enumerate(times) if start <= moment % end)


@pytest.mark.parametrize('fps', [8, 10, 12, Fraction(24000, 1001), 24, 25, NTSC, 50, 60, 120])
@pytest.mark.parametrize('interval', [1, 2])
def test_constant_rates(fps, interval):
    frames, step = 300, Fraction(interval, 15)
    times = [i / Fraction(fps) for i in range(frames)]
    end = frames / Fraction(fps)
    last = max(t for t in times if t + 15 * step < end)
    arguments = dict(clip_len=16, frame_interval=interval, target_fps=15)
    in_mkv = opened(frames, fps, in_milliseconds(frames, fps))
    for more in (*TESTS, *TRAINING):
        found = sample(SampleFramesOfClips, opened(frames, fps), **arguments, **more)
        rounded = sample(SampleFramesOfClips, in_mkv, **arguments, **more)
        np.testing.assert_array_equal(found['frame_inds'], rounded['frame_inds'])
        clips = found['frame_inds'].reshape(-1, 16)
        for clip in clips:
            first = times[clip[0]]
            assert clip.tolist() == [shown_at(times, end, first + k * step) for k in range(16)]
        if more in TESTS:
            places = [Fraction(i, max(len(clips) - 1, 1)) for i in range(len(clips))]
            starts = [last * (place if len(clips) > 1 else Fraction(1, 2)) for place in places]
            assert clips[:, 0].tolist() == [shown_at(times, end, start) for start in starts]


def varying(seed, frames=200):
    """Return the times of frames that are shown for 1/240 to 1/5 of a second."""
    rng = np.random.default_rng(seed)
    lengths = np.repeat(rng.choice([1, 2, 4, 8, 16, 48], frames // 10), 10) / 240
    return np.cumsum(np.insert(lengths[:-1], 0, 0)), lengths


@pytest.mark.parametrize('seed', range(4))
def test_varying_rates(seed):
    times, lengths = varying(seed)
    end = float(times[-1] + lengths[-1])
    video = opened(200, 200 / end, times)
    for more in (*TESTS, *TRAINING):
        found = sample(SampleFramesOfClips, video, clip_len=16, target_fps=15, **more)
        for clip in found['frame_inds'].reshape(-1, 16):
            moments = [times[clip[0]] + k / 15 + 1e-9 for k in range(16)]
            assert clip.tolist() == [shown_at(times, end, moment) for moment in moments]
            assert moments[-1] < end


def test_training_clips_start_at_every_frame_that_leaves_time():
    times, lengths = varying(1)
    end = times[-1] + lengths[-1]
    np.random.seed(0)
    clip = SampleFramesOfClips(8, target_fps=15)
    starts = {int(clip.transform(opened(200, 20, times))['frame_inds'][0]) for _ in range(3000)}
    assert starts == {i for i, t in enumerate(times) if t + 8 / 15 <= end + 1e-9}


def test_slow_videos_repeat_frames_and_short_ones_loop():
    slow = sample(SampleFramesOfClips, opened(20, 5), clip_len=8, target_fps=15, **TESTS[1])
    assert slow['frame_inds'][:8].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    short = sample(SampleFramesOfClips, opened(3, 10), clip_len=8, target_fps=20, **TESTS[0])
    assert short['frame_inds'].tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    held = dict(clip_len=8, target_fps=20, out_of_bound_opt='repeat_last')
    assert sample(SampleFramesOfClips, opened(3, 10), **held)['frame_inds'].tolist() == [
        *(0, 0, 1, 1, 2, 2),
        *(2, 2),
    ]
    one = sample(SampleFramesOfClips, opened(1, 0, np.zeros(1)), clip_len=4, target_fps=30)
    assert one['frame_inds'].tolist() == [0] * 4


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('num_clips', [1, 10])
def test_both_streams_stay_within_the_frames_that_they_share(seed, num_clips):
    times, lengths = varying(seed)
    video = opened(200, 20, times)
    arguments = dict(clip_len=8, target_fps=15, num_clips=num_clips, test_mode=True)
    both = sample(SampleFramesOfClips, video, flow_gap=1, **arguments)
    alone = sample(SampleFramesOfClips, video, **arguments)['frame_inds'].reshape(-1, 8)
    clips = both['frame_inds'].reshape(-1, 9)
    assert set(both['rgb_offsets'].tolist()) <= {0, 1}
    same = [clip[0] == rgb[0] for clip, rgb in zip(clips, alone)]
    assert num_clips == 1 or any(same), 'the first clips begin at frame 0'
    for clip, offset, rgb, begins_alike in zip(clips, both['rgb_offsets'], alone, same):
        later = times[rgb[0]] - times[clip[offset]]
        assert 0 <= later < 1 / 15 + max(lengths)
        if begins_alike:
            assert offset == 0
            assert clip[:8].tolist() == rgb.tolist()


def test_windows_follow_each_other_in_time():
    times, lengths = varying(2)
    found = sample(SlidingClips, opened(200, 20, times), clip_len=8, target_fps=15)
    starts = found['frame_inds'].reshape(-1, 8)[:, 0]
    end = times[-1] + lengths[-1]
    count = int((times[times + 7 / 15 < end][-1] + 1e-9) / (8 / 15)) + 1
    expected = {shown_at(times, end, i * 8 / 15 + 1e-9) for i in range(count)}
    assert starts.tolist() == sorted(expected)
    by_frames = sample(SlidingClips, opened(200, 20, times), clip_len=8, target_fps=15, stride=9)
    starts = by_frames['frame_inds'].reshape(-1, 8)[:, 0]
    assert starts.tolist() == list(range(0, int(np.sum(times + 7 / 15 < end)), 9))


@pytest.mark.parametrize('value', [0, -15, float('nan'), float('inf'), '15', True])
def test_invalid_rates(value):
    with pytest.raises(InputError, match=r'target_fps=.*: use a number of frames a second above 0'):
        SampleFramesOfClips(8, target_fps=value)
    with pytest.raises(InputError, match='target_fps='):
        clip_pipelines(8, target_fps=value)


@pytest.mark.parametrize('name', ['temporal_jitter', 'twice_sample', 'keep_tail_frames'])
def test_options_incompatible_with_a_rate(name):
    with pytest.raises(InputError, match=f'target_fps=15 with {name}: drop one'):
        SampleFramesOfClips(8, target_fps=15, **{name: True})


def test_videos_without_a_frame_rate():
    clip = SampleFramesOfClips(8, target_fps=15, test_mode=True)
    with pytest.raises(VideoInputError, match=r'a\.mp4: has no frame rate: re-encode it'):
        clip.transform(opened(9, 0))
    frames = dict(array=np.zeros((4, 8, 8, 3), np.uint8), total_frames=4, start_index=0)
    with pytest.raises(InputError, match=r'frames: target_fps needs a frame rate.*frame_interval'):
        clip.transform(frames)
    found = clip.transform(dict(frames, avg_fps=7.5))
    assert found['frame_inds'].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def write_numbers(path, times):
    """Encode gray frames whose level is their number, shown at the given times in ms."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size, stream.bit_rate = 12, 4_000_000
        for number, time in enumerate(times):
            image = np.full((48, 64, 3), 20 + 5 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_a_file_whose_rate_varies(tmp_path, suffix):
    times = [*range(0, 400, 20), *range(400, 2000, 100)]
    path = write_numbers(tmp_path / f'a.{suffix}', times)
    _, _, steps = clip_pipelines(8, test_clips=3, target_fps=10, scale=(64, 48), crop=48)
    video = dict(filename=str(path), start_index=0, modality='RGB', label=0)
    results = Compose(steps[:3])(video)
    numbers = [round((float(image.mean()) - 20) / 5) for image in results['imgs']]
    expected = [
        *(0, 5, 10, 15, 20, 21, 22, 23),
        *(22, 23, 24, 25, 26, 27, 28, 29),
        *(28, 29, 30, 31, 32, 33, 34, 35),
    ]
    assert results['frame_inds'].tolist() == numbers == expected
