"""predict, features and export with configs of MMAction2 and a backbone of ours."""

import json

import numpy as np
import pytest
import torch
from mmaction.apis import inference_recognizer, init_recognizer
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from support import write_video

pytestmark = pytest.mark.slow

CPU = ['--device', 'cpu', '--workers', 0]
READERS = {
    'decord': [dict(type='DecordInit'), dict(type='DecordDecode')],
    'PyAV': [dict(type='PyAVInit'), dict(type='PyAVDecode')],
    'frames': [dict(type='RawFrameDecode')],
}


def config(folder, reader='decord', average_clips=None, crop='CenterCrop', **sampling):
    *opener, decoder = READERS[reader]
    sample = dict(type='SampleFrames', clip_len=8, num_clips=3, test_mode=True)
    pipeline = [
        *opener,
        dict(sample, **sampling),
        decoder,
        dict(type='Resize', scale=(-1, 40)),
        dict(type=crop, crop_size=40),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    backbone = dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4)
    head = dict(type='I3DHead', num_classes=6, in_channels=32, average_clips=average_clips)
    normalise = dict(mean=[110.0] * 3, std=[58.0] * 3, format_shape='NCTHW')
    cfg = Config(
        dict(
            default_scope='mmaction',
            model=dict(
                type='Recognizer3D',
                backbone=backbone,
                cls_head=head,
                data_preprocessor=dict(type='ActionDataPreprocessor', **normalise),
            ),
            test_pipeline=pipeline,
            test_dataloader=dict(dataset=dict(type='VideoDataset', pipeline=pipeline)),
        )
    )
    path = folder / 'theirs.py'
    cfg.dump(path)
    return path


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'a.mp4', 40, size=(80, 60))


@pytest.fixture(scope='module')
def state(tmp_path_factory):
    init_default_scope('mmaction')
    torch.manual_seed(0)
    cfg = Config.fromfile(config(tmp_path_factory.mktemp('config')))
    state = MODELS.build(cfg.model).state_dict()
    state['cls_head.fc_cls.weight'] *= 30
    return state


@pytest.fixture
def checkpoint(state, tmp_path):
    torch.save(dict(state_dict=state), path := tmp_path / 'weights.pth')
    return path


@pytest.fixture
def diverged(state, tmp_path):
    broken = {key: value.clone() for key, value in state.items()}
    broken['backbone.layer4.1.conv2.0.0.weight'][0] = torch.nan
    torch.save(dict(state_dict=broken), path := tmp_path / 'diverged.pth')
    return path


def network(path, checkpoint):
    return ['--config', path, '--checkpoint', checkpoint, *CPU]


def expected(path, checkpoint, video):
    """Return the logits of each clip, as MMAction2 computes them in a test."""
    model = init_recognizer(str(path), str(checkpoint), device='cpu')
    model.cls_head.average_clips = None
    return inference_recognizer(model, str(video)).pred_score


@pytest.mark.parametrize('average_clips', [None, 'score', 'prob'])
@pytest.mark.parametrize('reader', READERS)
def test_predict(tool, tmp_path, checkpoint, video, reader, average_clips):
    clips = expected(config(tmp_path), checkpoint, video)
    assert clips.shape == (3, 6)
    scores = clips.mean(0).softmax(-1) if average_clips == 'score' else clips.softmax(-1).mean(0)
    path, out = config(tmp_path, reader, average_clips), tmp_path / 'out.json'
    options = ['--json', out, '--top', 6, '--draw', tmp_path / 'drawn']
    tool('predict.py', video, *options, *network(path, checkpoint))
    found = {one['number']: one['score'] for one in json.loads(out.read_text())[0]['classes']}
    np.testing.assert_allclose([found[i] for i in range(6)], scores, rtol=1e-5)
    assert (tmp_path / 'drawn/a.mp4').stat().st_size


def test_predict_with_a_dtype(fails, tmp_path, checkpoint, video):
    options = ['--dtype', 'bfloat16']
    message = fails('predict.py', video, *options, *network(config(tmp_path), checkpoint))
    assert 'model.test_cfg.dtype: Recognizer3D ignores it: use model.type=' in message


def test_predict_over_time_with_few_views_at_once(tool, tmp_path, checkpoint, video):
    path, out = config(tmp_path), tmp_path / 'out.json'
    cfg = Config.fromfile(path)
    cfg.model.test_cfg = dict(max_testing_views=1)
    cfg.dump(path)
    arguments = ['--over-time', '--json', out, '--top', 6, *network(path, checkpoint)]
    tool('predict.py', video, *arguments)
    (found,) = json.loads(out.read_text())
    first = {one['number']: one['score'] for one in found['times'][0]['classes']}
    clips = expected(config(tmp_path), checkpoint, video).softmax(-1)
    np.testing.assert_allclose([first[i] for i in range(6)], clips[0], rtol=1e-4)


@pytest.mark.parametrize('reader', READERS)
def test_features(tool, tmp_path, checkpoint, video, reader):
    out = tmp_path / 'features'
    path = config(tmp_path, reader)
    tool('extract_features.py', video, '--out', out, '--stride', 16, *network(path, checkpoint))
    model = init_recognizer(str(path), str(checkpoint), device='cpu')
    logits = model.cls_head.fc_cls(torch.from_numpy(np.load(out / 'a.mp4.npy')))
    three = config(tmp_path)  # its three test clips begin at frames 0, 16 and 32
    torch.testing.assert_close(logits, expected(three, checkpoint, video), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('reader', READERS)
def test_export(tool, tmp_path, checkpoint, reader, capsys):
    path = config(tmp_path, reader, 'prob')
    tool('export.py', path, checkpoint, tmp_path / 'network.pt2', '--clips', 2)
    assert 'input imgs: batch x 2 x 3 x 8 x 40 x 40 float32' in capsys.readouterr().out


def test_a_diverged_network(fails, tmp_path, diverged, video):
    path = config(tmp_path, average_clips='prob')
    reason = 'the network outputs NaN or infinity; its training may have diverged'
    line = f'error: {video}: {reason}: use an earlier checkpoint'
    assert fails('predict.py', video, *network(path, diverged)) == line
    out = tmp_path / 'features'
    assert fails('extract_features.py', video, '--out', out, *network(path, diverged)) == line
    assert not list(out.glob('*.npy'))
    line = fails('export.py', path, diverged, tmp_path / 'network.pt2')
    assert line == f'error: {diverged}: {reason}: use an earlier checkpoint'
    assert not (tmp_path / 'network.pt2').exists()


def test_refused_input(fails, tmp_path, checkpoint, video):
    out = ['--out', tmp_path / 'features']
    small = write_video(tmp_path / 'small.mp4', 20, size=(80, 60))

    def changed(**keys):
        cfg = Config.fromfile(config(tmp_path))
        cfg.merge_from_dict({key.replace('__', '.'): value for key, value in keys.items()})
        cfg.dump(tmp_path / 'changed.py')
        return tmp_path / 'changed.py'

    pipeline = 'test_dataloader__dataset__pipeline'
    line = fails('predict.py', small, *network(changed(**{pipeline: []}), checkpoint))
    assert 'changed.py: has no test_dataloader.dataset.pipeline' in line
    path = changed(**{f'{pipeline}__3__scale': (-1, 32)})
    line = fails('predict.py', small, *network(path, checkpoint))
    assert 'CenterCrop with crop_size=40x40 of frames with a shorter side of 32' in line
    path = changed(**{f'{pipeline}__1': dict(type='UniformSample', clip_len=8)})
    line = fails('extract_features.py', small, *out, *network(path, checkpoint))
    assert 'SampleFrames: it has OpenVideo, UniformSample, ReadFrames' in line
    path = changed(**{f'{pipeline}__0': dict(type='LoadHVULabel')})
    line = fails('predict.py', small, *network(path, checkpoint))
    assert 'videos failed' in line
    path = config(tmp_path, average_clips='prob', crop='ThreeCrop')
    line = fails('export.py', path, checkpoint, tmp_path / 'network.pt2')
    assert 'theirs.py: a file takes one crop: use CenterCrop, not ThreeCrop' in line
