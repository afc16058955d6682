"""Flow of clips, compared with plain OpenCV calls."""

import math

import cv2
import numpy as np
import pytest
from mmaction.datasets.transforms import Flip
from mmengine.dataset import Compose
from support import write_video
from torch.utils.data import DataLoader

from r21d_plugin import InputError
from r21d_plugin.datasets import FarnebackFlow, flow
from r21d_plugin.datasets.flow import mirror


def plain(before, after):
    """Compute flow with the authors' parameters, by plain OpenCV."""
    before, after = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after))
    return cv2.calcOpticalFlowFarneback(
        before, after, None, math.sqrt(2) / 2, 5, 10, 2, 7, 1.5, cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    )


def pipeline(*transforms, clip_len=8, num_clips=1, flow_gap=1, crop=48, **sampling):
    return Compose(
        [
            dict(type='r21d_plugin.DecordClipInit'),
            dict(
                type='r21d_plugin.SampleClips',
                clip_len=clip_len,
                num_clips=num_clips,
                flow_gap=flow_gap,
                test_mode=True,
                **sampling,
            ),
            dict(type='r21d_plugin.DecordClipDecode', scale=(85, 64)),
            dict(type='CenterCrop', crop_size=crop),
            *transforms,
        ]
    )


def video(path):
    return dict(filename=str(path), start_index=0, modality='RGB', label=0)


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('flow') / 'a.mp4', frames=30)


FLOW = dict(type='r21d_plugin.FarnebackFlow')


@pytest.mark.parametrize('num_clips', [1, 3, 10])
def test_equals_plain_calls_clip_by_clip(path, num_clips):
    frames = pipeline(num_clips=num_clips)(video(path))['imgs']
    results = pipeline(FLOW, num_clips=num_clips)(video(path))
    expected = [
        plain(clip[t], clip[t + 1])
        for clip in np.reshape(frames, (num_clips, 9, 48, 48, 3))
        for t in range(8)
    ]
    np.testing.assert_array_equal(results['imgs'], expected)
    assert results['imgs'].dtype == np.float32
    assert (results['clip_len'], results['modality']) == (8, 'Flow')
    assert np.abs(results['imgs']).max() > 0.5


def test_a_field_shared_by_clips_is_computed_once(path, monkeypatch):
    calls = []
    compute = flow.farneback
    monkeypatch.setattr(flow, 'farneback', lambda *pair: calls.append(1) or compute(*pair))
    results = pipeline(FLOW, num_clips=10)(video(path))
    assert len(results['imgs']) == 80
    assert len(calls) == 29


def test_three_crops(path):
    crops = [dict(type='ThreeCrop', crop_size=48)]
    frames = pipeline(*crops, crop=(80, 48), num_clips=2)(video(path))['imgs']
    fields = pipeline(*crops, FLOW, crop=(80, 48), num_clips=2)(video(path))['imgs']
    expected = [
        plain(clip[t], clip[t + 1])
        for clip in np.reshape(frames, (6, 9, 48, 48, 3))
        for t in range(8)
    ]
    np.testing.assert_array_equal(fields, expected)


def test_two_streams_keep_the_frames_of_rgb_alone(path):
    alone = pipeline(num_clips=10, flow_gap=0)(video(path))['imgs']
    both = pipeline(dict(FLOW, key='flow'), num_clips=10)(video(path))
    np.testing.assert_array_equal(both['imgs'], alone)
    fields = pipeline(FLOW, num_clips=10)(video(path))['imgs']
    np.testing.assert_array_equal(both['flow'], fields)
    assert both['clip_len'] == 8


def test_two_streams_decode_each_frame_once(path, decoded_packets):
    pipeline(num_clips=1)(video(path))  # counts them as well
    decoded_packets.clear()
    both = pipeline(dict(FLOW, key='flow'), num_clips=10)(video(path))
    assert (len(both['imgs']), len(both['flow'])) == (80, 80)
    assert len(decoded_packets) == 30


@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
def test_flow_of_mirrored_frames_is_the_mirrored_flow(path, direction):
    """Up to the precision of Farneback's method, whose sums run from left to right."""
    flipped = dict(type='Flip', flip_ratio=1, direction=direction)
    then_computed = pipeline(flipped, FLOW)(video(path))['imgs']
    fields = pipeline(FLOW)(video(path))['imgs']
    error = np.abs(then_computed - mirror(fields, direction))
    assert np.abs(fields).mean() > 0.5
    assert error.mean() < 1e-3
    np.testing.assert_array_equal(mirror(mirror(fields, direction), direction), fields)


def test_mmactions_flip_differs(path):
    """MMAction2's Flip is wrong for flow. If this test fails, upstream is fixed."""
    fields = pipeline(FLOW)(video(path))
    expected = mirror(fields['imgs'])
    flipped = Flip(flip_ratio=1).transform(dict(fields, imgs=list(fields['imgs'])))['imgs']
    assert np.abs(flipped - expected).mean() > 0.1


def test_frames_of_an_interval(path):
    frames = pipeline(frame_interval=2)(video(path))['imgs']
    fields = pipeline(FLOW, frame_interval=2)(video(path))['imgs']
    np.testing.assert_array_equal(fields, [plain(frames[t], frames[t + 1]) for t in range(8)])


def test_frames_at_a_rate(path):
    by_time = pipeline(FLOW, target_fps=12.5)(video(path))['imgs']
    np.testing.assert_array_equal(by_time, pipeline(FLOW, frame_interval=2)(video(path))['imgs'])


def test_nothing_moves_where_a_slow_video_repeats_a_frame(path):
    fields = pipeline(FLOW, target_fps=50)(video(path))['imgs']
    assert [bool(field.any()) for field in fields] == [False, True] * 4
    fields = pipeline(FLOW, target_fps=1000)(video(path))['imgs']
    assert not fields.any()


def test_nothing_moves_where_a_short_video_starts_over(tmp_path):
    short = write_video(tmp_path / 'short.mp4', frames=3)
    frames = pipeline(flow_gap=0)(video(short))['imgs']
    fields = pipeline(FLOW)(video(short))['imgs']
    still = np.zeros((48, 48, 2))
    cycle = [plain(frames[0], frames[1]), plain(frames[1], frames[2]), still]
    np.testing.assert_array_equal(fields, (cycle * 3)[:8])


def test_repeated_last_frames_do_not_move(tmp_path):
    short = write_video(tmp_path / 'short.mp4', frames=3)
    fields = pipeline(FLOW, out_of_bound_opt='repeat_last')(video(short))['imgs']
    assert not fields[2:].any()
    assert fields[:2].any()


def test_one_frame(tmp_path):
    single = write_video(tmp_path / 'single.mp4', frames=1)
    with pytest.raises(InputError, match=r'single\.mp4: 1 frame\(s\), and flow needs 2'):
        pipeline(FLOW)(video(single))


def test_frames_of_different_size():
    imgs = [np.zeros((48, 48, 3), np.uint8)] * 8 + [np.zeros((40, 48, 3), np.uint8)]
    results = dict(imgs=imgs, frame_inds=np.arange(9), clip_len=9, filename='b.mp4')
    with pytest.raises(
        InputError, match=r'b\.mp4: frames 7 and 8 are of \(48, 48\) and \(40, 48\)'
    ):
        FarnebackFlow().transform(results)


def test_frames_from_anywhere(path):
    imgs = pipeline(num_clips=2)(video(path))['imgs']
    results = FarnebackFlow().transform(dict(imgs=imgs, clip_len=9))
    np.testing.assert_array_equal(results['imgs'], pipeline(FLOW, num_clips=2)(video(path))['imgs'])


class Threads:
    """Dataset that computes flow and reports how many threads OpenCV may start afterwards."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 2

    def __getitem__(self, index):
        pipeline(FLOW)(video(self.path))
        return cv2.getNumThreads()


def test_workers_start_no_threads(path):
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        loader = DataLoader(Threads(path), num_workers=2)
        assert [int(threads) for threads in loader] == [1, 1]
        assert Threads(path)[0] == 4, 'the main process is left alone'
    finally:
        cv2.setNumThreads(before)
