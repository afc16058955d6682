import tracemalloc

import numpy as np
import pytest
import torch
from support import write_video
from untrained import CONFIGS

from r21d_plugin import InputError
from r21d_plugin._errors import VideoInputError
from r21d_plugin.cli.launch import load_config
from r21d_plugin.datasets.video_reader import VideoReader
from r21d_plugin.inference.sliding_window import SlidingWindow, WindowScores, apply_to_clips
from r21d_plugin.inference.video_inputs import load_videos, pipeline_of


def window(stream='rgb', *args):
    return SlidingWindow(pipeline_of(load_config(str(CONFIGS[stream]))), *args)


def pixels(batches):
    """Return the inputs of all clips, for each stream."""
    inputs = [batch.packed['inputs'] for batch in batches]
    streams = inputs if isinstance(inputs[0], dict) else [dict(imgs=x) for x in inputs]
    return {name: torch.cat([x[name] for x in streams]) for name in streams[0]}


def means(packed):
    """Stand in for a network: return the mean of each channel of each view."""
    return packed['inputs'].float().flatten(2).mean(2)


def apply(window, video, network=means):
    ((_, found),) = apply_to_clips(network, ((video, batch) for batch in window.batches(video)))
    return found


@pytest.mark.parametrize(
    ('frames', 'stride', 'starts'),
    [
        (24, None, [0, 8, 16]),
        (23, None, [0, 8]),
        (8, 1, [0]),
        (11, 1, [0, 1, 2, 3]),
        (30, 20, [0, 20]),
        (3, 2, [0]),
    ],
)
def test_starts(tmp_path, frames, stride, starts):
    video = write_video(tmp_path / 'a.mp4', frames)
    sliding = window('rgb', stride, 2)
    batches = list(sliding.batches(video))
    assert sum(len(batch.clips.starts) for batch in batches) == len(starts)
    assert [batch.done == 1 for batch in batches] == [False] * (len(batches) - 1) + [True]
    inputs = pixels(batches)['imgs']
    every = pixels(window('rgb', 1).batches(video))['imgs']
    assert torch.equal(inputs, every[starts])
    found = apply(sliding, video)
    assert found.starts.tolist() == starts
    assert found.ends.tolist() == [start + min(frames, 8) for start in starts]
    assert (len(found.values), found.frames, found.fps) == (len(starts), frames, 25)


def test_a_short_video_is_looped(tmp_path):
    clip = pixels(window().batches(write_video(tmp_path / 'a.mp4', 3)))['imgs'][0]
    assert torch.equal(clip[:, :3], clip[:, 3:6])


@pytest.mark.parametrize('stream', CONFIGS)
def test_batches_equal_the_whole_and_frames_are_decoded_once(tmp_path, stream, decoded_packets):
    video = write_video(tmp_path / 'a.mp4', 40)
    whole = pixels(window(stream, 3, 1000).batches(video))
    decoded_packets.clear()  # some to count the frames
    pieces = pixels(window(stream, 3, 2).batches(video))
    assert all(torch.equal(pieces[name], whole[name]) for name in whole)
    assert len(decoded_packets) == len(set(decoded_packets)) > 30


def test_the_video_is_closed_at_its_end(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(VideoReader, 'close', lambda self: events.append('closed'))
    batches = window('rgb', 8, 1).batches(write_video(tmp_path / 'a.mp4', 24))
    events.extend(batch.clips.starts[0] for batch in batches)
    assert events == [0, 8, 16, 'closed']


def test_both_streams_begin_at_the_same_frame(tmp_path):
    video = write_video(tmp_path / 'a.mp4', 40)
    both = pixels(window('twostream', 5).batches(video))['imgs']
    rgb = pixels(window('rgb', 5).batches(video))['imgs']
    assert torch.equal(both, rgb[: len(both)])


@pytest.mark.parametrize('workers', [0, 2])
def test_videos_are_collated_and_broken_ones_named(tmp_path, workers):
    videos = [write_video(tmp_path / f'{i}.mp4', 10 + 8 * i, seed=i) for i in range(3)]
    videos.insert(1, tmp_path / 'gone.mp4')
    videos[2].write_bytes(videos[2].read_bytes()[:-3000])
    shares = []
    sliding = window('rgb', 4, 1)
    batches = load_videos(sliding.batches, videos, workers)
    found = dict(apply_to_clips(means, batches, shares.append))
    assert found.keys() == set(videos)
    assert isinstance(found[videos[1]], VideoInputError)
    for video in (videos[0], videos[3]):
        inputs = pixels(window('rgb', 4).batches(video))['imgs']
        np.testing.assert_allclose(found[video].values, means(dict(inputs=inputs)), rtol=1e-5)
    assert sum(shares) == pytest.approx(4)


def test_crops_of_a_clip_are_averaged(tmp_path):
    video = write_video(tmp_path / 'a.mp4', 20, size=(96, 48))
    pipeline = pipeline_of(load_config(str(CONFIGS['rgb'])))
    pipeline[2]['scale'] = (96, 48)
    pipeline[3] = dict(type='ThreeCrop', crop_size=48)
    crops = SlidingWindow(pipeline, 4)
    inputs = pixels(crops.batches(video))['imgs']
    assert len(inputs) == 3 * 4
    found = apply(crops, video, lambda packed: packed['inputs'][:, 0, 0, 0, :1])
    by_crop = inputs[:, 0, 0, 0, :1].float().reshape(3, 4, 1)
    np.testing.assert_allclose(found.values, by_crop.mean(0))


def test_values_at_a_frame_are_means_of_covering_clips():
    values = np.float32([[1, 0], [3, 0], [7, 0]])
    starts = np.array([0, 4, 8])
    dense = WindowScores(values, starts, starts + 8, frames=20, fps=25.0)
    assert [dense.at(frame)[0] for frame in (0, 3, 4, 7, 8, 11, 12, 15, 19)] == [
        *(1, 1, 2, 2, 5, 5, 7, 7),
        7,  # no clip ends here: the score of the last clip counts
    ]
    starts = np.array([0, 10, 20])
    sparse = dense._replace(starts=starts, ends=starts + 8, frames=30)
    assert [sparse.at(frame)[0] for frame in (7, 9, 10, 19, 20)] == [1, 1, 3, 3, 7]


def test_a_pipeline_of_a_config_of_mmaction2():
    """MMEngine gives its steps a scope."""
    steps = [dict(step, _scope_='mmaction') for step in window().pipeline]
    assert SlidingWindow(steps).sample.clip_len == 8


def test_a_pipeline_without_sampling():
    pipeline = [dict(type='UniformSample', clip_len=8), dict(type='PackActionInputs')]
    with pytest.raises(InputError, match='SampleFrames: it has UniformSample, PackActionInputs'):
        SlidingWindow(pipeline)


@pytest.mark.parametrize('stream', ['rgb', 'twostream'])
def test_memory_does_not_grow_with_the_video(tmp_path, stream):
    def peak(frames):
        video = write_video(tmp_path / f'{frames}.mp4', frames)
        tracemalloc.start()
        clips = sum(len(batch.clips.starts) for batch in window(stream, 2, 4).batches(video))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return clips, most

    peak(30)  # what is imported and cached
    (few, small), (many, large) = peak(60), peak(600)
    assert many > 10 * few
    assert large < 1.2 * small
