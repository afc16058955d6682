"""MMAction2's own interfaces with our configs, and with our backbone in a config of its form."""

import copy
from runpy import run_path

import mmcv
import numpy as np
import pytest
import torch
from mmaction.apis import ActionRecogInferencer, inference_recognizer, init_recognizer
from mmaction.apis.inferencers import MMAction2Inferencer
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner
from support import ROOT, write_video
from untrained import CONFIGS, untrained
from weights.published import seed_norms

import r21d_plugin.registry  # noqa: F401
from r21d_plugin import InputError, create_model
from r21d_plugin.datasets.decoding import all_frames
from r21d_plugin.weights import load_checkpoint

BACKBONES = [
    dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4),
    dict(type='r21d_plugin.MCx', depth=18, x=3, base_channels=4),
]

TEST_PIPELINE = [
    dict(type='DecordInit'),
    dict(type='SampleFrames', clip_len=8, num_clips=2, test_mode=True),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(40, 32), keep_ratio=False),
    dict(type='CenterCrop', crop_size=32),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]


def config(backbone, work_dir, **train):
    """Write a config as an MMAction2 user does, with nothing of ours but the backbone."""
    dataset = dict(
        type='VideoDataset',
        ann_file='list.txt',
        data_prefix=dict(video='data/kinetics400/videos_train'),
        pipeline=[
            TEST_PIPELINE[0],
            dict(type='SampleFrames', clip_len=8),
            *TEST_PIPELINE[2:],
        ],
    )
    loader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler'), dataset=dataset)
    return Config(
        dict(
            default_scope='mmaction',
            work_dir=str(work_dir),
            model=dict(
                type='Recognizer3D',
                backbone=copy.deepcopy(backbone),
                cls_head=dict(type='I3DHead', num_classes=6, in_channels=32, average_clips='prob'),
                data_preprocessor=dict(
                    type='ActionDataPreprocessor',
                    mean=[110.0] * 3,
                    std=[58.0] * 3,
                    format_shape='NCTHW',
                ),
            ),
            test_pipeline=TEST_PIPELINE,
            train_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01), **train),
            visualizer=dict(type='ActionVisualizer', vis_backends=[]),
        )
    )


@pytest.fixture
def videos(in_kinetics, tmp_path):
    """Write videos; MMAction2's VideoDataset splits at spaces, so their names have none."""
    folder = in_kinetics / 'data/kinetics400/videos_train'
    for i in range(4):
        link = folder / f'{i}.mp4'
        if not link.exists():
            link.symlink_to(folder / f'video {i}.mp4')
    (in_kinetics / 'list.txt').write_text(''.join(f'{i}.mp4 {i}\n' for i in range(4)))
    return [str(folder / f'{i}.mp4') for i in range(4)]


@pytest.mark.parametrize('backbone', BACKBONES, ids=lambda b: b['type'])
def test_init_and_inference_recognizer(videos, tmp_path, backbone):
    model = init_recognizer(config(backbone, tmp_path), device='cpu')
    result = inference_recognizer(model, videos[0])
    assert result.pred_score.shape == (6,)
    assert result.pred_score.sum().item() == pytest.approx(1)


@pytest.fixture
def public(tmp_path):
    """Write weights as torchvision publishes them; their epsilon of batch norm is not ours."""
    torch.manual_seed(0)
    theirs = dict(midplanes='block', norm_cfg=dict(type='BN3d', eps=1e-5))
    network = create_model('r2plus1d_18', 6, base_channels=4, **theirs)
    seed_norms(network)
    torch.save(dict(network.state_dict()), tmp_path / 'public.pth')
    return network.eval()


def test_converted_weights_through_init_recognizer(public, tmp_path):
    """MMEngine only warns of keys that do not match, so public weights would be skipped."""
    convert = run_path(ROOT / 'tools/convert_weights.py')['convert']
    convert(str(tmp_path / 'public.pth'), tmp_path / 'ours.pth', 'r21d')
    cfg = config(dict(BACKBONES[0], midplanes='block'), tmp_path)
    model = init_recognizer(cfg, str(tmp_path / 'ours.pth'), device='cpu')
    assert model.backbone.stem[1].eps == 1e-5
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        logits = model(clips[:, None], mode='tensor', stage='head')
        torch.testing.assert_close(logits, public(clips))


def test_public_weights_by_init_cfg(public, tmp_path):
    """The runner of any training initialises a model in this way."""
    init_cfg = dict(type='r21d_plugin.Pretrained', checkpoint=str(tmp_path / 'public.pth'))
    backbone = dict(BACKBONES[0], midplanes='block', init_cfg=init_cfg)
    model = MODELS.build(config(backbone, tmp_path).model)
    model.init_weights()
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        features = model.eval()(clips[:, None], mode='tensor', stage='backbone')
        torch.testing.assert_close(features, public.forward_features(clips))


@pytest.mark.parametrize('name', ['mc2_18', 'r2plus1d_18_flow', 'r2plus1d_18_twostream'])
def test_our_own_configs_through_inference_recognizer(in_kinetics, name):
    dataset, classes = ('kinetics', 400) if name == 'mc2_18' else ('motion', 10)
    cfg = Config.fromfile(ROOT / f'configs/{name}_{dataset}.py')
    model = init_recognizer(cfg, device='cpu')
    result = inference_recognizer(model, 'data/kinetics400/videos_val/video 0.mp4')
    assert result.pred_score.shape == (classes,)
    assert result.clip_scores.shape == (10, classes)


FRAMES = dict(filename_tmpl='img_{:05}.png')  # lossless, so that scores are equal


@pytest.fixture(params=['video', 'array', 'rawframes'])
def inputs(request, tmp_path):
    """Return a video in the forms that inferencers take: input_format, and the call argument."""
    video = str(write_video(tmp_path / 'a.mp4', 30, size=(100, 80)))
    if request.param == 'video':
        return 'video', video, video
    frames = np.stack(list(all_frames(video)))
    if request.param == 'array':
        return 'array', video, frames
    folder = tmp_path / 'frames'
    for number, frame in enumerate(frames, start=1):
        mmcv.imwrite(frame[..., ::-1], str(folder / FRAMES['filename_tmpl'].format(number)))
    return 'rawframes', video, str(folder)


@pytest.mark.parametrize('stream', CONFIGS)
def test_inferencers_give_the_scores_of_inference_recognizer(inputs, stream, tmp_path):
    input_format, video, given = inputs
    config, checkpoint = str(CONFIGS[stream]), str(untrained(tmp_path, stream))
    model = init_recognizer(config, checkpoint, device='cpu')
    expected = inference_recognizer(model, video).pred_score.tolist()
    assert max(expected) > 0.2
    options = dict(device='cpu', input_format=input_format)
    pack = FRAMES if input_format == 'rawframes' else {}
    inferencer = ActionRecogInferencer(config, checkpoint, pack_cfg=pack, **options)
    assert inferencer(given)['predictions'][0]['pred_scores'] == expected
    if input_format != 'rawframes':  # it does not expand patterns
        inferencer = MMAction2Inferencer(config, checkpoint, **options)
        assert inferencer(given)['predictions'][0]['rec_scores'] == [expected]


def without_loading(config):
    """Return a test pipeline without sampling, as demos change it when they have the frames."""
    pipeline = Config.fromfile(config).test_pipeline
    (sample,) = (step for step in pipeline if 'SampleFrames' in step['type'])
    clips = dict(num_clips=sample['num_clips'], clip_len=sample['clip_len'])
    return [step for step in pipeline if step is not sample], clips


@pytest.mark.parametrize('how', ['imgs', 'array and ArrayDecode', 'array'])
def test_demos_that_give_frames(how, tmp_path):
    model = init_recognizer(str(CONFIGS['rgb']), str(untrained(tmp_path)), device='cpu')
    pipeline, clips = without_loading(CONFIGS['rgb'])
    video = write_video(tmp_path / 'a.mp4', 80, size=(100, 80))  # its ten clips are side by side
    frames = list(all_frames(str(video)))
    data = dict(modality='RGB', label=-1, img_shape=(80, 100), **clips)
    if how == 'imgs':
        data['imgs'] = frames
    else:
        data.update(array=frames, frame_inds=np.arange(80))
    if 'ArrayDecode' in how:
        pipeline.insert(1, dict(type='ArrayDecode'))
    scores = inference_recognizer(model, data, Compose(pipeline)).pred_score
    assert torch.equal(scores, inference_recognizer(model, str(video)).pred_score)


@pytest.mark.parametrize('stream', ['flow', 'twostream'])
def test_demos_with_one_frame_too_few_for_flow(stream):
    pipeline, clips = without_loading(CONFIGS[stream])
    data = dict(imgs=list(np.zeros((80, 80, 100, 3), np.uint8)), modality='RGB', **clips)
    with pytest.raises(InputError, match=r'clips of L . 1 frames: sample them by r21d_plugin'):
        Compose(pipeline)(data)


def test_action_recog_inferencer(videos, tmp_path):
    path = tmp_path / 'theirs.py'
    cfg = config(BACKBONES[0], tmp_path)
    cfg.test_dataloader = dict(dataset=dict(pipeline=TEST_PIPELINE))
    cfg.dump(path)
    inferencer = ActionRecogInferencer(str(path), device='cpu')
    prediction = inferencer(videos[0])['predictions'][0]
    assert len(prediction['pred_scores']) == 6


def test_extract_feat(videos, tmp_path):
    model = init_recognizer(config(BACKBONES[0], tmp_path), device='cpu')
    feature, _ = model.extract_feat(torch.randn(2, 3, 3, 8, 32, 32), stage='backbone')
    assert feature.shape == (6, 32, 1, 2, 2)


@pytest.mark.parametrize('accumulative_counts', [1, 2])
def test_training_with_ema_and_gradient_accumulation(videos, tmp_path, accumulative_counts):
    backbone = dict(BACKBONES[0], frozen_stages=1, with_cp=True)
    cfg = config(backbone, tmp_path, accumulative_counts=accumulative_counts)
    cfg.custom_hooks = [dict(type='EMAHook')]
    runner = Runner.from_cfg(cfg)
    before = {}
    initialised = Hook()
    initialised.before_train = lambda runner: before.update(
        copy.deepcopy(runner.model.state_dict())
    )
    runner.register_hook(initialised)
    runner.train()
    after = runner.model.state_dict()
    for key in ('stem.0.weight', 'layer1.0.conv1.0.0.weight'):
        assert torch.equal(before[f'backbone.{key}'], after[f'backbone.{key}'])
    assert not torch.equal(
        before['backbone.layer2.0.conv1.0.0.weight'], after['backbone.layer2.0.conv1.0.0.weight']
    )
    checkpoint = load_checkpoint(str(tmp_path / 'epoch_1.pth'))
    assert 'ema_state_dict' in checkpoint


def test_accumulated_gradients_equal_those_of_the_whole_batch():
    """With fixed batch norm, two halves accumulate to the gradient of the whole."""
    cfg = dict(config(BACKBONES[0], '.').model)
    cfg['backbone'] = dict(cfg['backbone'], norm_eval=True)
    cfg['cls_head'] = dict(cfg['cls_head'], dropout_ratio=0)
    model = MODELS.build(cfg).train()
    clips, labels = torch.randn(4, 1, 3, 8, 32, 32), torch.arange(4)

    def gradients(size):
        model.zero_grad()
        for part, target in zip(clips.split(size), labels.split(size)):
            logits = model(part, mode='tensor', stage='head')
            (torch.nn.functional.cross_entropy(logits, target) * size / 4).backward()
        return [p.grad.clone() for p in model.parameters()]

    for whole, halves in zip(gradients(4), gradients(2)):
        torch.testing.assert_close(halves, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_amp_optim_wrapper(videos, tmp_path):
    cfg = config(BACKBONES[0], tmp_path, type='AmpOptimWrapper', loss_scale='dynamic')
    Runner.from_cfg(cfg).train()
