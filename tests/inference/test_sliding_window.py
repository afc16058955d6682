import tracemalloc
from collections import Counter

import decord
import numpy as np
import pytest
import torch
from support import write_video
from untrained import CONFIGS

from r21d_plugin import InputError
from r21d_plugin.engine.launch import load_config
from r21d_plugin.inference.sliding_window import ClipsOfVideos, OverTime, SlidingWindow, over_time
from r21d_plugin.inference.video_inputs import Failure, in_background, pipeline_of


def window(stream='rgb', *args):
    return SlidingWindow(pipeline_of(load_config(str(CONFIGS[stream]))), *args)


def pixels(clips):
    """Inputs of all clips, of each stream, and the frames at which they begin."""
    inputs = [some.packed['inputs'] for some in clips]
    streams = inputs if isinstance(inputs[0], dict) else [dict(imgs=x) for x in inputs]
    joined = {name: torch.cat([x[name] for x in streams]) for name in streams[0]}
    return joined, np.concatenate([some.starts for some in clips]).tolist()


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
    clips = list(window('rgb', stride, 2).clips(video))
    inputs, found = pixels(clips)
    assert found == starts
    assert inputs['imgs'].shape == (len(starts), 3, 8, 48, 48)
    assert [some.last for some in clips] == [False] * (len(clips) - 1) + [True]
    assert sum(some.share for some in clips) == pytest.approx(1)
    assert {(some.frames, some.fps) for some in clips} == {(frames, 25)}
    assert clips[0].span == min(frames, 8)


def test_a_short_video_is_looped(tmp_path):
    inputs, _ = pixels(list(window().clips(write_video(tmp_path / 'a.mp4', 3))))
    clip = inputs['imgs'][0]
    assert torch.equal(clip[:, :3], clip[:, 3:6])


@pytest.mark.parametrize('stream', CONFIGS)
def test_pieces_are_those_of_the_whole_and_each_frame_is_decoded_once(
    tmp_path, stream, monkeypatch
):
    video = write_video(tmp_path / 'a.mp4', 40)
    whole, starts = pixels(list(window(stream, 3, 1000).clips(video)))
    decoded = Counter()
    read = decord.VideoReader.__getitem__

    def count(reader, index):
        decoded[index] += 1
        return read(reader, index)

    monkeypatch.setattr(decord.VideoReader, '__getitem__', count)
    pieces, found = pixels(list(window(stream, 3, 2).clips(video)))
    assert found == starts
    assert all(torch.equal(pieces[name], whole[name]) for name in whole)
    assert set(decoded.values()) == {1}


def test_both_streams_begin_at_the_same_frame(tmp_path):
    video = write_video(tmp_path / 'a.mp4', 40)
    both, starts = pixels(list(window('twostream', 5).clips(video)))
    rgb, starts_of_rgb = pixels(list(window('rgb', 5).clips(video)))
    assert starts == starts_of_rgb[: len(starts)]
    assert torch.equal(both['imgs'], rgb['imgs'][: len(starts)])


@pytest.mark.parametrize('workers', [0, 2])
def test_videos_are_put_together_and_broken_ones_named(tmp_path, workers):
    videos = [write_video(tmp_path / f'{i}.mp4', 10 + 8 * i, seed=i) for i in range(3)]
    videos.insert(1, tmp_path / 'gone.mp4')
    shares = []
    clips = in_background(ClipsOfVideos(window('rgb', 4, 1), videos), workers)
    done = over_time(
        clips, lambda packed: packed['inputs'].float().flatten(2).mean(2), shares.append
    )
    by_number = {some.video: some for some in done}
    assert isinstance(by_number.pop(1), Failure)
    for number, found in by_number.items():
        inputs, starts = pixels(list(window('rgb', 4).clips(videos[number])))
        assert found.starts.tolist() == starts
        means = inputs['imgs'].float().flatten(2).mean(2)
        np.testing.assert_allclose(found.values, means, rtol=1e-5)
    assert sum(shares) == pytest.approx(4)


def test_crops_of_a_clip_are_averaged(tmp_path):
    video = write_video(tmp_path / 'a.mp4', 20, size=(96, 48))
    pipeline = pipeline_of(load_config(str(CONFIGS['rgb'])))
    pipeline[2]['scale'] = (96, 48)
    pipeline[3] = dict(type='ThreeCrop', crop_size=48)
    crops = SlidingWindow(pipeline, 4)
    inputs, _ = pixels(list(crops.clips(video)))
    assert len(inputs['imgs']) == 3 * 4
    found = next(over_time(crops.clips(video), lambda packed: packed['inputs'][:, 0, 0, 0, :1]))
    by_crop = inputs['imgs'][:, 0, 0, 0, :1].float().reshape(3, 4, 1)
    np.testing.assert_allclose(found.values, by_crop.mean(0))


def test_the_values_of_a_moment_are_those_of_the_clips_that_cover_it():
    values = np.float32([[1, 0], [3, 0], [7, 0]])
    dense = OverTime(0, values, np.array([0, 4, 8]), 8, 20, 25.0)
    assert [dense.at(frame)[0] for frame in (0, 3, 4, 7, 8, 11, 12, 15, 19)] == [
        *(1, 1, 2, 2, 5, 5, 7, 7),
        7,  # no clip ends here: that of the last one
    ]
    sparse = dense._replace(starts=np.array([0, 10, 20]), frames=30)
    assert [sparse.at(frame)[0] for frame in (7, 9, 10, 19, 20)] == [1, 1, 3, 3, 7]


def test_a_pipeline_without_our_sampling():
    pipeline = [dict(type='SampleFrames', clip_len=8), dict(type='PackActionInputs')]
    with pytest.raises(InputError, match='no SampleClips: it has SampleFrames, PackActionInputs'):
        SlidingWindow(pipeline)


@pytest.mark.parametrize('stream', ['rgb', 'twostream'])
def test_memory_does_not_grow_with_the_video(tmp_path, stream):
    def peak(frames):
        video = write_video(tmp_path / f'{frames}.mp4', frames)
        tracemalloc.start()
        clips = sum(len(some.starts) for some in window(stream, 2, 4).clips(video))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return clips, most

    peak(30)  # what is imported and cached
    (few, small), (many, large) = peak(60), peak(600)
    assert many > 10 * few
    assert large < 1.2 * small
