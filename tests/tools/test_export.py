"""Exported files, compared with the networks from which they were made."""

import logging
import re
import sys

import numpy as np
import pytest
import torch
from exports import (
    BOTH,
    FLOW,
    FORMATS,
    NARROW,
    RGB,
    SHALLOW,
    SHALLOW_BOTH,
    STATISTICS,
    TOOL,
    assert_scores,
    clips,
    config,
    load,
    normalised,
    options,
    softmax,
)
from support import shell

from r21d_plugin import InputError
from r21d_plugin.cli.launch import load_config
from r21d_plugin.datasets.pipelines import clip_pipelines
from r21d_plugin.inference import export, export_int8

pytestmark = pytest.mark.slow


def test_clips_of_a_fixed_rate(exported):
    rate = {'test_dataloader.dataset.pipeline.1.target_fps': 15}
    out, _ = exported(RGB, '.pt2', changes={**NARROW, **SHALLOW, **rate})
    meta, _ = load(out)
    assert meta['preprocessing']['target_fps'] == 15


def test_stored_flow(exported, tmp_path):
    steps = load_config(str(config(FLOW))).test_dataloader.dataset.pipeline
    types = [step['type'].split('.')[-1] for step in steps]
    root = {
        f'test_dataloader.dataset.pipeline.{types.index("FarnebackFlow")}.root': str(tmp_path),
        f'test_dataloader.dataset.pipeline.{types.index("ReadFrames")}.decode': False,
    }
    exported(FLOW, '.pt2', changes={**NARROW, **SHALLOW, **root})


def test_runtime_and_dtype_of_a_test_are_ignored(exported):
    changes = {'model.test_cfg.dtype': 'bfloat16', 'model.test_cfg.runtime': 'torch'}
    exported(RGB, '.pt2', changes={**NARROW, **SHALLOW, **changes})


@pytest.mark.parametrize(
    ('loss', 'scores'),
    [
        ('BCELossWithLogits', torch.sigmoid),
        ('r21d_plugin.RegressionLoss', lambda logits: 50 + 10 * logits),
    ],
)
def test_other_tasks(exported, loss, scores):
    task = {'model.cls_head.loss_cls.type': loss}
    if 'Regression' in loss:
        task.update({'model.cls_head.target_mean': 50.0, 'model.cls_head.target_std': 10.0})
    path, recognizer = exported(RGB, '.pt2', '--clips', 3, changes={**NARROW, **SHALLOW, **task})
    meta, run = load(path)
    content = meta['outputs']['scores']['content']
    assert content == ('numbers' if 'Regression' in loss else 'sigmoid') + ', mean over 3 clips'
    x = clips(2, number=3)
    with torch.no_grad():
        logits = recognizer.cls_head(recognizer.backbone(normalised(x.flatten(0, 1))))
    expected = scores(logits).unflatten(0, (2, 3)).mean(1)
    torch.testing.assert_close(run(imgs=x), expected, rtol=1e-5, atol=1e-5)


@FORMATS
def test_single_clips(exported, suffix, capfd, caplog, recwarn):
    out, recognizer = exported(RGB, suffix, changes={'model.backbone.base_channels': 8})
    printed = capfd.readouterr()
    assert printed.err == ''
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert [str(warning.message) for warning in recwarn] == []
    lines = printed.out.splitlines()
    assert lines[0] == f'{out}: {out.stat().st_size / 1e6:.1f} MB'
    assert lines[1:3] == [
        'input imgs: batch x 3 x 8 x 48 x 48 float32, RGB, 0 to 255',
        'output scores: batch x 10 float32, softmax',
    ]
    assert lines[3].startswith("largest difference from the recognizer's scores: ")
    assert len(lines) == 4

    meta, run = load(out)
    mean, std = STATISTICS['imgs']
    imgs = dict(shape=['batch', 3, 8, 48, 48], content='RGB, 0 to 255', mean=mean, std=std)
    assert meta['inputs'] == dict(imgs=imgs)
    assert meta['config'] == RGB
    assert meta['preprocessing'] == dict(
        colour='RGB', frame_interval=1, resize=[64, 64], interpolation='bilinear', crop=48
    )
    assert (meta['clip_len'], meta['num_clips'], meta['num_classes']) == (8, 1, 10)
    for batch in (1, 5):
        x = clips(batch)
        assert_scores(run(imgs=x), softmax(recognizer, x))


@FORMATS
def test_mean_over_clips(exported, suffix, capfd):
    out, recognizer = exported(RGB, suffix, '--clips', 10, changes=SHALLOW)
    assert 'softmax, mean over 10 clips' in capfd.readouterr().out
    meta, run = load(out)
    assert meta['num_clips'] == 10
    assert meta['inputs']['imgs']['shape'] == ['batch', 10, 3, 8, 48, 48]
    for batch in (1, 4):
        x = clips(batch, number=10)
        scores = softmax(recognizer, x.flatten(0, 1)).reshape(batch, 10, -1)
        assert_scores(run(imgs=x), scores.mean(1))
        assert (scores[:, 0] - scores.mean(1)).abs().max() > 1e-3, 'one clip is not the mean'
    assert out.stat().st_size < x[:2].nbytes, 'the clips that it was traced with are left out'
    with pytest.raises(Exception, match='10'):
        run(imgs=x[:, :9])


def test_flow(exported):
    out, recognizer = exported(FLOW, '.onnx', changes=SHALLOW)
    meta, run = load(out)
    mean, std = STATISTICS['flow']
    shape = ['batch', 2, 8, 48, 48]
    flow = dict(shape=shape, content='optical flow in pixels', mean=mean, std=std)
    assert meta['inputs'] == dict(flow=flow)
    x = clips(4, 'flow')
    assert_scores(run(flow=x), softmax(recognizer, x, 'flow'))


@pytest.mark.parametrize(
    ('suffix', 'number'), [('.onnx', 2), ('.pt2', None)], ids=['onnx, 2 clips', 'pt2']
)
def test_two_streams(exported, suffix, number):
    weights = {'model.cls_head.weights': [0.6, 0.4]}
    averaging = ['--clips', number] if number else []
    out, recognizer = exported(BOTH, suffix, *averaging, changes={**SHALLOW_BOTH, **weights})
    meta, run = load(out)
    assert list(meta['inputs']) == ['imgs', 'flow']
    inputs = {name: clips(4, name, number) for name in ('imgs', 'flow')}
    views = {name: normalised(x, name) for name, x in inputs.items()}
    if number:
        views = {name: x.flatten(0, 1) for name, x in views.items()}
    with torch.no_grad():
        rgb, flow = recognizer.cls_head(recognizer.backbone(**views)).softmax(-1).unbind(1)
    expected = (0.6 * rgb + 0.4 * flow).reshape(4, number or 1, -1).mean(1)
    assert_scores(run(**inputs), expected)


@pytest.mark.parametrize(
    ('name', 'suffix'), [('r2d_18', '.onnx'), ('mc3_18', '.pt2'), ('rmc3_18', '.pt2')]
)
def test_other_networks(exported, name, suffix):
    out, recognizer = exported(f'{name}_kinetics', suffix, changes=NARROW)
    meta, run = load(out)
    assert meta['inputs']['imgs']['shape'] == ['batch', 3, 8, 112, 112]
    x = clips(2, size=112)
    assert_scores(run(imgs=x), softmax(recognizer, x))


@pytest.mark.parametrize(
    ('name', 'size', 'dimensions'), [(RGB, 48, {2}), ('mc3_18_kinetics', 112, {2, 3})]
)
def test_conv2d(exported, name, size, dimensions):
    """(2+1)D and 2D convolutions become 2D ones with folded norms; 3D ones stay as they are."""
    import onnx

    out, recognizer = exported(name, '.onnx', '--conv2d', changes=NARROW)
    nodes = onnx.load(out).graph.node
    kernels = [a.ints for n in nodes for a in n.attribute if a.name == 'kernel_shape']
    assert {len(kernel) for kernel in kernels} == dimensions
    assert not any(node.op_type == 'BatchNormalization' for node in nodes)
    _, run = load(out)
    for batch in (1, 3):
        x = clips(batch, size=size)
        assert_scores(run(imgs=x), softmax(recognizer, x))


LISTS = 'data/kinetics400/kinetics400_{}_list_videos.txt'


def test_int8(exported, in_kinetics, tmp_path, monkeypatch, capsys):
    """Quantised after calibration; the same file in float has the same metadata."""
    import onnx

    monkeypatch.setattr(export_int8, 'MAX_DROP', 100)
    calibration = ['--int8', LISTS.format('train')]
    changes = {**NARROW, 'model.backbone.type': 'r21d_plugin.FR2D'}
    out, recognizer = exported('fr2d_18_kinetics', '.onnx', *calibration, changes=changes)
    assert re.search(r'accuracy in float32: [\d.]+%\naccuracy in int8', capsys.readouterr().out)
    kinds = [node.op_type for node in onnx.load(out).graph.node]
    assert kinds.count('QuantizeLinear') >= kinds.count('Conv')
    meta, run = load(out)
    assert meta['inputs']['imgs']['shape'] == ['batch', 3, 8, 112, 112]
    cfg = load_config(str(config('fr2d_18_kinetics')), changes)
    videos = export_int8.feeds(cfg.test_dataloader.dataset, cfg, None, 4)
    x = torch.cat([torch.from_numpy(feed['imgs']) for feed, _ in videos])
    scores, expected = run(imgs=x), softmax(recognizer, x)
    assert 1e-6 < (scores - expected).abs().max() / expected.max() < 0.2


def changes_for(ann_file):
    """Give the changes of a config for a test with a list of the small Kinetics."""
    changes = {**SHALLOW, 'test_dataloader.dataset.ann_file': str(ann_file)}
    for name, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        folder = f'data/kinetics400/videos_{split}'
        changes[f'{name}_dataloader.dataset.data_prefix.video'] = folder
    for name in ('train', 'test'):
        changes[f'{name}_dataloader.dataset.num_classes'] = 10
    return changes


def test_int8_that_loses_accuracy_is_not_kept(refused, in_kinetics, monkeypatch):
    monkeypatch.setattr(export_int8, 'MAX_DROP', -101)
    changes = changes_for(in_kinetics / LISTS.format('val'))
    message = refused('.onnx', '--int8', LISTS.format('train'), changes=changes)
    assert 'not written: int8 has' in message


def test_int8_with_a_damaged_video_and_without_labels(refused, in_kinetics, tmp_path):
    """The former is left out of the calibration; a test without labels is an error."""
    calibration, unlabelled = tmp_path / 'calibration.txt', tmp_path / 'unlabelled.txt'
    listed = (in_kinetics / LISTS.format('train')).read_text()
    calibration.write_text(f'gone.mp4 0\n{listed}')
    listed = (in_kinetics / LISTS.format('val')).read_text()
    unlabelled.write_text(re.sub(r' \d+$', '', listed, flags=re.MULTILINE))
    message = refused('.onnx', '--int8', calibration, changes=changes_for(unlabelled))
    assert 'unlabelled.txt: no video with a label decodes: int8 needs them' in message


def test_int8_with_damaged_videos_alone(refused, in_kinetics, tmp_path):
    calibration = tmp_path / 'calibration.txt'
    calibration.write_text('gone.mp4 0\n')
    changes = changes_for(in_kinetics / LISTS.format('val'))
    message = refused('.onnx', '--int8', calibration, changes=changes)
    assert 'calibration.txt: none of its videos decodes: int8 needs some' in message


def test_int8_calibrated_with_the_test(in_kinetics):
    cfg = load_config(str(config('fr2d_18_kinetics')), {})
    with pytest.raises(InputError, match='calibrate with other videos than those of the test'):
        export_int8.quantize(in_kinetics / 'a.onnx', cfg, None, LISTS.format('val'))


def test_preprocessing_at_another_rate():
    _, _, pipeline = clip_pipelines(16, frame_interval=2, scale=(-1, 128), target_fps=15)
    assert export.preprocessing_of(pipeline) == dict(
        colour='RGB',
        frame_interval=2,
        target_fps=15,
        resize=(-1, 128),
        interpolation='bilinear',
        crop=112,
    )
    gray = [*pipeline, dict(type='r21d_plugin.ToGray')]
    assert export.preprocessing_of(gray)['colour'] == 'gray'


def test_the_program_runs_without_this_package(exported, tmp_path):
    out, recognizer = exported(RGB, '.pt2', changes=SHALLOW)
    x = clips(3)
    torch.save(x, tmp_path / 'clips.pth')
    script = (
        'import sys, torch\n'
        f'network = torch.export.load({str(out)!r}).module()\n'
        'torch.save(network(torch.load("clips.pth")), "scores.pth")\n'
        'print("r21d_plugin" in sys.modules, "mmengine" in sys.modules)\n'
    )
    assert shell(sys.executable, '-c', script, cwd=tmp_path).split()[-2:] == ['False', 'False']
    assert_scores(torch.load(tmp_path / 'scores.pth'), softmax(recognizer, x))


@pytest.fixture
def weights(checkpoint):
    return checkpoint(RGB, SHALLOW)


@pytest.fixture
def refused(fails, weights, tmp_path):
    """Run an export that must fail beside an earlier file; return the message."""

    def run(suffix, *args, changes=SHALLOW):
        out = tmp_path / f'out/network{suffix}'
        out.parent.mkdir()
        out.write_text('earlier')
        message = fails(TOOL, config(RGB), weights, out, *args, *options(changes))
        assert [path.name for path in out.parent.iterdir()] == [out.name]
        assert out.read_text() == 'earlier'
        return message

    return run


def without_normalisation(recognizer, x):
    return recognizer.cls_head(recognizer.backbone(x.flatten(0, 1))).softmax(1)


def mean_of_logits(recognizer, x):
    logits = recognizer.cls_head(recognizer.backbone(normalised(x).flatten(0, 1)))
    return logits.unflatten(0, (-1, 3)).mean(1).softmax(1).repeat_interleave(3, 0)


def no_number(recognizer, x):
    return softmax(recognizer, x.flatten(0, 1)) * float('nan')


@pytest.mark.parametrize('clip_scores', [without_normalisation, mean_of_logits, no_number])
def test_wrong_program_is_not_kept(refused, monkeypatch, clip_scores):
    def forward(self, *streams):
        return clip_scores(self.recognizer, *streams).unflatten(0, (-1, 3)).mean(1)

    monkeypatch.setattr(export.ClipScores, 'forward', forward)
    message = refused('.pt2', '--clips', 3)
    assert "not written: its scores differ from the recognizer's by up to" in message


def test_wrong_onnx_is_not_kept(refused, monkeypatch):
    import onnx

    to_onnx = export.FORMATS['.onnx']

    def pack(program, metadata):
        model = onnx.load_from_string(to_onnx(program, metadata))
        (bias,) = (x for x in model.graph.initializer if x.name.endswith('fc_cls.bias'))
        values = onnx.numpy_helper.to_array(bias) + np.float32([0.01] + [0] * 9)
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        return model.SerializeToString()

    monkeypatch.setitem(export.FORMATS, '.onnx', pack)
    assert "not written: its scores differ from the recognizer's" in refused('.onnx')


@pytest.mark.parametrize('package', ['onnx', 'onnxscript', 'onnxruntime'])
def test_missing_package(refused, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    message = refused('.onnx')
    assert f"ONNX needs {package}: pip install 'r21d_plugin[export]'" in message


@pytest.mark.parametrize(
    ('args', 'changes', 'message'),
    [
        (['--int8', 'list.txt'], {}, 'int8 needs ONNX: end the name in .onnx'),
        (['--clips', 0], {}, '0 clips of a video: there has to be at least 1'),
        ([], {'model.cls_head.average_clips': 'score'}, "cls_head.average_clips='score'"),
        (
            [],
            {'test_dataloader.dataset.pipeline.3.type': 'ThreeCrop'},
            'use CenterCrop, not ThreeCrop',
        ),
        ([], {'model.backbone.depth': 34}, 'weights of another network'),
    ],
    ids=['int8', 'no clips', 'no softmax', 'three crops', 'other network'],
)
def test_wrong_input(refused, args, changes, message):
    assert message in refused('.pt2', *args, changes={**SHALLOW, **changes})


def test_r2d_with_another_clip_length(fails, checkpoint, tmp_path):
    changes = {**NARROW, 'model.backbone.clip_len': 16}
    weights = checkpoint('r2d_18_kinetics', changes, clip_len=16)
    args = (config('r2d_18_kinetics'), weights, tmp_path / 'network.pt2', *options(changes))
    assert 'R2D was built for clips of 16 frames and got 8' in fails(TOOL, *args)


def test_wrong_path(fails, weights, tmp_path):
    for name in ('network.pth', 'network', '.onnx'):
        message = fails(TOOL, config(RGB), weights, tmp_path / name, *options(SHALLOW))
        assert f'{name}: end the name in .onnx (ONNX) or .pt2 (torch.export)' in message
    out = tmp_path / 'network.pt2'
    assert 'nope.pth: no such checkpoint' in fails(TOOL, config(RGB), tmp_path / 'nope.pth', out)
    assert 'nope.py: no such config' in fails(TOOL, tmp_path / 'nope.py', weights, out)
    out.mkdir()
    for name in ('network.pt2', f'{weights.name}/network.pt2', '/proc/network.pt2'):
        message = fails(TOOL, config(RGB), weights, tmp_path / name, *options(SHALLOW))
        assert f'{tmp_path / name}: cannot write there: ' in message
    assert {path.name for path in tmp_path.iterdir()} == {out.name, weights.name}
