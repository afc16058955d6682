import numpy as np
import pytest
from mmaction.datasets.transforms import SampleFrames

from r21d_plugin import InputError
from r21d_plugin.datasets import SampleClips, SampleFramesOfClips


def starts(frames, clip_len, num_clips, **kwargs):
    sample = SampleClips(clip_len=clip_len, num_clips=num_clips, **kwargs)
    results = sample.transform(dict(total_frames=frames, start_index=0))
    inds = results['frame_inds'].reshape(num_clips, clip_len)
    np.testing.assert_array_equal(np.diff(inds) % frames, 1 % frames)
    return inds[:, 0].tolist()


@pytest.mark.parametrize(
    ('frames', 'clip_len', 'num_clips'), [(300, 8, 10), (72, 32, 10), (33, 32, 4)]
)
def test_test_clips_match_the_authors(frames, clip_len, num_clips):
    needed = frames - clip_len
    expected = [int(i * needed / (num_clips - 1)) for i in range(num_clips)]
    assert starts(frames, clip_len, num_clips, test_mode=True) == expected
    assert expected[0] == 0
    assert expected[-1] == needed


def test_a_misspelt_argument():
    """MMAction2's SampleFrames drops it."""
    with pytest.raises(InputError, match='SampleFramesOfClips has no argument num_clip: correct'):
        SampleFramesOfClips(8, num_clip=10)


def test_a_single_test_clip_is_the_middle_one():
    assert starts(100, 8, 1, test_mode=True) == [46]


def test_a_short_video_starts_at_its_first_frame():
    assert starts(5, 8, 10, test_mode=True) == [0] * 10


def test_training_clips_start_anywhere_uniformly():
    np.random.seed(0)
    counts = np.bincount([starts(20, 8, 1)[0] for _ in range(6500)])
    assert len(counts) == 13
    assert counts.min() > 400
    assert counts.max() < 600


@pytest.mark.parametrize('frames', [5, 8, 9, 10, 20, 97])
@pytest.mark.parametrize('num_clips', [1, 2, 10])
@pytest.mark.parametrize('gap', [1, 2])
def test_both_streams_have_the_clips_of_separate_tests(frames, num_clips, gap):
    video = dict(total_frames=frames, start_index=0)
    options = dict(num_clips=num_clips, test_mode=True)
    both = SampleClips(clip_len=8, flow_gap=gap, **options).transform(dict(video))
    alone = SampleClips(clip_len=8, **options).transform(dict(video))
    assert both['clip_len'] == 8 + gap
    clips = both['frame_inds'].reshape(num_clips, -1)
    offsets = both['rgb_offsets']
    rgb = [clip[offset : offset + 8] for clip, offset in zip(clips, offsets)]
    assert [len(clip) for clip in rgb] == [8] * num_clips
    np.testing.assert_array_equal(np.concatenate(rgb), alone['frame_inds'])
    if frames > 8 + gap and num_clips > 1:
        assert clips[:, 0].tolist() == [
            i * (frames - 8 - gap) // (num_clips - 1) for i in range(num_clips)
        ]


@pytest.mark.parametrize('steps', [dict(frame_interval=3), dict(target_fps=10)], ids=str)
@pytest.mark.parametrize('num_clips', [1, 10])
def test_rgb_clips_beside_flow_begin_less_than_a_step_earlier(num_clips, steps):
    for frames in range(40, 70):
        video = dict(total_frames=frames, start_index=0, avg_fps=30.0)
        options = dict(clip_len=8, num_clips=num_clips, test_mode=True, **steps)
        both = SampleClips(flow_gap=1, **options).transform(dict(video))
        alone = SampleClips(**options).transform(dict(video))['frame_inds'].reshape(num_clips, -1)
        clips = both['frame_inds'].reshape(num_clips, -1)
        starts = [clip[offset] for clip, offset in zip(clips, both['rgb_offsets'])]
        assert {*(alone[:, 0] - starts)} <= {0, 1, 2}


def test_in_training_both_streams_begin_at_the_same_frame():
    sample = SampleClips(clip_len=8, flow_gap=1)
    results = sample.transform(dict(total_frames=30, start_index=0))
    assert len(results['frame_inds']) == 9
    assert results['rgb_offsets'].tolist() == [0]


@pytest.mark.parametrize('frames', [1, 3, 7])
def test_short_videos_loop_as_mmactions_do(frames):
    options = dict(clip_len=8, num_clips=4, test_mode=True)
    video = dict(total_frames=frames, start_index=0)
    ours, theirs = (
        s.transform(dict(video)) for s in (SampleClips(**options), SampleFrames(**options))
    )
    np.testing.assert_array_equal(ours['frame_inds'], theirs['frame_inds'])
