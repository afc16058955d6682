"""The features of a video, for each option and preset, and their files."""

import json
import os
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from support import write_numbered, write_video
from untrained import CONFIGS, untrained

from r21d_plugin import InputError
from r21d_plugin._compat import pairwise
from r21d_plugin.cli.launch import load_config
from r21d_plugin.inference.feature_files import open_features, read_features, read_json
from r21d_plugin.inference.features import use_layer

TOOL = 'extract_features.py'
MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp('checkpoint'))


@pytest.fixture
def features(tool, checkpoint, tmp_path):
    """Extract with options; return the features and the facts, by name."""

    def extract(*arguments, out='out'):
        network = ['--config', CONFIGS['rgb'], '--checkpoint', checkpoint]
        tool(TOOL, *network, '--device', 'cpu', '--workers', 0, '--out', tmp_path / out, *arguments)
        names = [path.name[:-4] for path in (tmp_path / out).glob('*.npy')]
        facts = {name: json.loads((tmp_path / out / f'{name}.json').read_text()) for name in names}
        return {name: np.load(tmp_path / out / f'{name}.npy') for name in names}, facts

    return extract


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / 'a.mp4', 40, (200, 150))


def of(found):
    (values,), (facts,) = (part.values() for part in found)
    return values, facts


def test_stride_in_seconds(features, video):
    _, facts = of(features(video, '--stride', '0.1s'))
    assert facts['starts'] == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30, 32]  # 2.5 frames
    assert facts['ends'] == [start + 8 for start in facts['starts']]
    times = np.float64([facts['starts'], facts['ends']]).T / 25
    np.testing.assert_allclose(facts['seconds'], times, atol=1e-6)


def test_stride_in_seconds_at_another_frame_rate(features, video):
    rate = ['--cfg-options', 'test_dataloader.dataset.pipeline.1.target_fps=12.5']
    _, facts = of(features(video, '--stride', '0.2s', *rate))
    assert facts['starts'] == [0, 5, 10, 15, 20, 25]
    assert facts['ends'] == [start + 15 for start in facts['starts']]


def test_axes_that_are_kept(features, video):
    crops = ['--cfg-options', 'test_dataloader.dataset.pipeline.3.type=TenCrop']
    both, _ = of(features(video, '--keep', 'crops', 'time', *crops, out='both'))
    assert both.shape == (5, 10, 1, 64)
    time, _ = of(features(video, '--keep', 'time', '--layer', 'conv3_x', *crops, out='time'))
    assert time.shape == (5, 4, 16)
    kept, _ = of(features(video, '--keep', 'crops', *crops, out='crops'))
    mean, _ = of(features(video, *crops, out='mean'))
    np.testing.assert_allclose(kept.mean(1), mean, rtol=1e-4)
    np.testing.assert_allclose(both.mean(2), kept, rtol=1e-4)
    assert np.ptp(kept, axis=1).max() > 0.01


def test_a_layer(features, video):
    """From group to group, channels double and time steps halve."""
    for group, (channels, steps) in enumerate([(8, 8), (16, 4), (32, 2), (64, 1)], start=2):
        options = ['--layer', f'conv{group}_x', '--keep', 'time']
        assert of(features(video, *options, out=str(group)))[0].shape == (5, steps, channels)
    last, _ = of(features(video))
    np.testing.assert_array_equal(of(features(video, '--keep', 'time', out='t'))[0][:, 0], last)


def test_segments(features, video):
    clips, at = of(features(video, '--stride', 1, out='clips'))
    assert len(clips) == 33
    for count in (4, 50):
        values, facts = of(features(video, '--stride', 1, '--segments', count, out=str(count)))
        edges = np.linspace(0, 33, count + 1, dtype=int)
        for i, (begin, end) in enumerate(pairwise(edges)):
            end = max(end, begin + 1)
            np.testing.assert_allclose(values[i], clips[begin:end].mean(0), rtol=1e-5)
            assert facts['starts'][i] == at['starts'][begin]
            assert facts['seconds'][i] == [at['seconds'][begin][0], at['seconds'][end - 1][1]]


def by_tool(video, clips, checkpoint, crops=1):
    """Compute the features of clips, given as lists of frames, with torchvision's transforms."""
    with av.open(str(video)) as container:
        frames = np.stack([f.to_ndarray(format='rgb24') for f in container.decode(video=0)])
    backbone = MODELS.build(load_config(str(CONFIGS['rgb'])).model.backbone).eval()
    state = torch.load(checkpoint)['state_dict']
    backbone.load_state_dict({k[9:]: v for k, v in state.items() if k.startswith('backbone.')})
    mean, std = (torch.tensor(values)[:, None, None, None] for values in (MEAN, STD))
    pixels = torch.tensor(frames).permute(3, 0, 1, 2).float() / 255
    pixels = (F.interpolate(pixels, (128, 171), mode='bilinear') - mean) / std
    views = [pixels[..., 8:120, 30:142]]
    if crops == 10:
        views = [
            x[..., top : top + 112, left : left + 112]
            for x in (pixels, pixels.flip(-1))
            for top, left in ((0, 0), (0, 59), (8, 30), (16, 0), (16, 59))
        ]
    with torch.no_grad():
        maps = [backbone(torch.stack([view[:, clip] for clip in clips])) for view in views]
    return torch.stack([x.mean((2, 3, 4)) for x in maps], 1).numpy()


def test_video_features(features, video, checkpoint):
    found, _ = features(video, '--preset', 'video_features')  # clips as the config has them
    expected = by_tool(video, np.arange(40).reshape(5, 8), checkpoint)[:, 0]
    np.testing.assert_allclose(found['a_r21d'], expected, rtol=1e-3, atol=1e-4)


def test_tsp(features, video, checkpoint, tmp_path):
    """At 25 frames a second, frame k of a clip is floor(25 k / 15), so 40 frames become 24."""
    found, facts = features(video, '--preset', 'tsp-actionformer')
    expected = by_tool(video, [np.arange(16) * 25 // 15], checkpoint)[:, 0]
    np.testing.assert_allclose(found['a'], expected, rtol=1e-3, atol=1e-4)
    for frames, fps, starts in ((63, 30, [0, 32]), (62, 30, [0]), (54, 25, [0, 26]), (53, 25, [0])):
        numbered = tmp_path / f'{frames}.mp4'
        write_numbered(numbered, np.arange(frames) / fps, rate=Fraction(fps))
        _, facts = features(numbered, '--preset', 'tsp-actionformer')
        assert facts[str(frames)]['starts'] == starts


def test_ten_crops_in_32_segments(features, video, checkpoint):
    found, _ = features(video, '--preset', 'ucf-crime-32x10')
    clips = by_tool(video, np.arange(32).reshape(2, 16), checkpoint, crops=10)
    assert found['a'].shape == (32, 10, 64)
    np.testing.assert_allclose(found['a'][:16], np.repeat(clips[:1], 16, 0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found['a'][16:], np.repeat(clips[1:], 16, 0), rtol=1e-3, atol=1e-4)
    with pytest.raises(SystemExit, match='holds features of'):
        features(video, '--preset', 'ucf-crime-32x10', '--segments', 0)
    found, _ = features(video, '--preset', 'ucf-crime-32x10', '--segments', 0, out='clips')
    np.testing.assert_allclose(found['a'], clips, rtol=1e-3, atol=1e-4)


def test_weights_without_a_classifier(features, video, checkpoint, tmp_path):
    """TSP and self-supervised methods publish such weights."""
    whole, _ = of(features(video))
    state = torch.load(checkpoint)['state_dict']
    backbone = {name: value for name, value in state.items() if name.startswith('backbone.')}
    torch.save(dict(state_dict=backbone), tmp_path / 'backbone.pth')
    named = ['--checkpoint', tmp_path / 'backbone.pth']
    np.testing.assert_array_equal(of(features(video, *named, out='backbone'))[0], whole)


def test_presets_skip_videos_that_are_too_short(features, tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for frames in (7, 15, 40):
        write_video(folder / f'{frames}.mp4', frames)
    for preset, clip_len in (
        ('tsp-actionformer', 16),
        ('ucf-crime-32x10', 16),
        ('video_features', 8),
    ):
        features(folder, '--preset', preset, out=preset)
        expected = [
            f'{folder}/{frames}.mp4: shorter than a clip of {clip_len} frames'
            for frames in (15, 7)
            if frames < clip_len
        ]
        assert (tmp_path / preset / 'broken_videos.txt').read_text().splitlines() == expected


SETTINGS = dict(config='a.py', checkpoint='a.pth', stride=8, fingerprint='')


def test_names_that_hdf5_cannot_hold(tmp_path):
    """A preset without extensions gives a.mp4 the name of the folder a."""
    pytest.importorskip('h5py')
    open_features(tmp_path / 'out', SETTINGS).check_names({'a', 'a/1'})
    file = open_features(tmp_path / 'out.h5', SETTINGS)
    file.check_names({'a.mp4', 'a/1.mp4'})
    with pytest.raises(InputError, match=r'out\.h5: HDF5 cannot hold a beside a/1: rename one, or'):
        file.check_names({'a', 'a/1'})
    file.write('a/1', np.zeros((1, 2)), dict(video='a/1.mp4', video_bytes=1))
    file.finish(all_done=True)
    with pytest.raises(InputError, match=r'out\.h5: HDF5 cannot hold a beside a/1: rename one, or'):
        open_features(tmp_path / 'out.h5', SETTINGS).check_names({'a'})


@pytest.mark.parametrize('out', ['out', 'out.h5'])
def test_a_name_that_is_refused_leaves_no_output(tmp_path, out):
    pytest.importorskip('h5py')
    with pytest.raises(InputError, match='settings: the name is taken'):
        open_features(tmp_path / out, SETTINGS, {'settings'})
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize('out', ['out', 'out.h5'])
def test_two_videos_of_one_name(tmp_path, out):
    pytest.importorskip('h5py')
    first, second = (str(tmp_path / name / '1.avi') for name in ('train', 'test'))
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/1.avi').touch()
    features = np.zeros((1, 2))
    store = open_features(tmp_path / out, SETTINGS)
    store.write('1', features, dict(video=first, video_bytes=9))
    refused = pytest.raises(InputError, match=r'test/1\.avi: the output has features of .*train/1')
    with refused:
        store.write('1', features, dict(video=second, video_bytes=9))
    store.finish(all_done=True)
    store = open_features(tmp_path / out, SETTINGS)
    with refused:
        store.has('1', second, 9)
    assert store.has('1', first, 9)
    os.remove(first)
    assert store.has('1', second, 9), 'the video was moved'


def test_names_that_no_output_can_hold(tmp_path):
    folder = open_features(tmp_path / 'out', SETTINGS)
    with pytest.raises(InputError, match='settings: the name is taken: rename the video'):
        folder.check_names({'a', 'settings'})
    longest = 80 * '\u3042' + 'b'
    folder.check_names({f'dir/{longest}'})
    folder.write(f'dir/{longest}', np.zeros((1, 2)), dict(video='a.mp4', video_bytes=1))
    assert folder.has(f'dir/{longest}', 'a.mp4', 1)
    with pytest.raises(InputError, match='its name is too long: rename the video'):
        folder.check_names({f'dir/{longest}b'})


def test_hdf5(features, fails, tool, checkpoint, tmp_path, capsys):
    h5py = pytest.importorskip('h5py')
    folder, network = tmp_path / 'videos', ['--config', CONFIGS['rgb'], '--checkpoint', checkpoint]
    (folder / 'sub').mkdir(parents=True)
    for i, name in enumerate(['a.mp4', 'sub/b.mp4']):
        write_video(folder / name, 20 + 8 * i, seed=i)
    arguments = [TOOL, folder, *network, '--device', 'cpu', '--workers', 0, '--out']
    tool(*arguments, tmp_path / 'out')
    tool(*arguments, tmp_path / 'out.h5')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['out', 'out.h5', 'videos']
    npy, hdf5 = (dict(read_features(tmp_path / name)) for name in ('out', 'out.h5'))
    assert npy.keys() == hdf5.keys() == {'a.mp4', 'sub/b.mp4'}
    assert all((npy[name] == hdf5[name]).all() for name in npy)
    facts = json.loads((tmp_path / 'out/sub/b.mp4.json').read_text())
    settings = json.loads((tmp_path / 'out/settings.json').read_text())
    with h5py.File(tmp_path / 'out.h5') as file:
        assert {k: np.asarray(v).tolist() for k, v in file['sub/b.mp4'].attrs.items()} == facts
        assert dict(file.attrs) == settings
    write_video(folder / 'a.mp4', 12)
    capsys.readouterr()
    tool(*arguments, tmp_path / 'out.h5')
    assert '1 computed, 1 there already' in capsys.readouterr().out
    assert [*map(len, dict(read_features(tmp_path / 'out.h5')).values())] == [1, 3]
    before = (tmp_path / 'out.h5').read_bytes()
    assert 'out.h5: holds features of' in fails(*arguments, tmp_path / 'out.h5', '--stride', 4)
    tool(*arguments, tmp_path / 'out.h5')
    assert (tmp_path / 'out.h5').read_bytes() == before
    odd = os.fsdecode(b'sub/\xff.mp4')
    (folder / 'a.mp4').rename(folder / odd)
    for counts in ('1 computed, 1 there', '0 computed, 2 there'):
        capsys.readouterr()
        tool(*arguments, tmp_path / 'out.h5')
        assert counts in capsys.readouterr().out
    names = {name for name, _ in read_features(tmp_path / 'out.h5')}
    assert names == {'a.mp4', 'sub/b.mp4', odd}
    (tmp_path / 'no.h5').write_text('something else')
    assert 'no.h5: cannot be opened as HDF5' in fails(*arguments, tmp_path / 'no.h5')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--stride', '0s'], 'stride=0s: use at least 1 frame, or seconds such as 0.5s'),
        (['--stride', '1.5'], 'stride=1.5: use at least 1 frame, or seconds such as 0.5s'),
        (['--segments', -1], '--segments=-1: use a whole number, at least 0'),
        (['--shard', '4/4'], '--shard 4/4: use 0/4, 1/4, 2/4 or 3/4 for a part of four'),
    ],
)
def test_bad_options(video, checkpoint, fails, tmp_path, arguments, message):
    network = ['--config', CONFIGS['rgb'], '--checkpoint', checkpoint, '--device', 'cpu']
    assert message in fails(TOOL, video, '--out', tmp_path / 'out', *network, *arguments)
    assert not (tmp_path / 'out').exists()


def test_presets_that_do_not_fit(video, fails, tmp_path):
    arguments = ['--preset', 'video_features', '--out', tmp_path / 'out', '--device', 'cpu']
    flow = ['--config', CONFIGS['flow'], '--checkpoint', untrained(tmp_path, 'flow')]
    assert '--preset is for networks of RGB, not of flow' in fails(TOOL, video, *arguments, *flow)
    other = write_video(tmp_path / 'a.avi', 40)
    rgb = ['--config', CONFIGS['rgb'], '--checkpoint', untrained(tmp_path)]
    message = fails(TOOL, video, other, *arguments, *rgb)
    assert 'a.mp4 and ' in message
    assert message.endswith('without the extension of the video: rename one')


def test_files_that_are_not_readable(tmp_path):
    (tmp_path / 'a.mp4.json').write_text('{')
    with pytest.raises(InputError, match=r'a\.mp4\.json: not readable: delete it'):
        read_json(tmp_path / 'a.mp4.json')


def test_networks_of_other_packages_have_one_output():
    with pytest.raises(
        InputError, match='--layer conv3_x: the backbones of other packages have one'
    ):
        use_layer(torch.nn.Identity(), 'conv3_x')
