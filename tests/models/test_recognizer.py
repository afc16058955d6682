import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

from r21d_plugin import InputError
from r21d_plugin.engine import BFloat16OptimWrapper
from r21d_plugin.models import recognizer as recognizer_file

CFG = dict(
    type='r21d_plugin.MultiClipRecognizer',
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4),
    cls_head=dict(type='r21d_plugin.ClipHead', num_classes=5, in_channels=32),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[110.0] * 3, std=[58.0] * 3, format_shape='NCTHW'
    ),
)


def batch(videos=3, views=5):
    generator = torch.Generator().manual_seed(0)
    shape = (views, 3, 8, 32, 32)
    inputs = [torch.randint(256, shape, generator=generator).byte() for _ in range(videos)]
    return dict(inputs=inputs, data_samples=[ActionDataSample() for _ in range(videos)])


@pytest.fixture
def recognizer():
    torch.manual_seed(0)
    return MODELS.build(CFG).eval()


@torch.no_grad()
@pytest.mark.parametrize('limit', [1, 2, 4, 7, 100])
def test_chunks_do_not_change_the_result(recognizer, limit):
    whole = recognizer.test_step(batch())
    recognizer.test_cfg = dict(max_testing_views=limit)
    seen = []
    recognizer.backbone.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    chunked = recognizer.test_step(batch())
    assert max(seen) <= limit
    assert sum(seen) == 15
    for a, b in zip(whole, chunked):
        torch.testing.assert_close(a.clip_scores, b.clip_scores)
        torch.testing.assert_close(a.pred_score, b.pred_score)


def test_videos_of_different_views_in_a_batch(recognizer):
    data = batch()
    data['inputs'][1] = data['inputs'][1][:2]
    with pytest.raises(InputError, match=r'videos of 2 and 5 clips in a batch: use test_dataload'):
        recognizer.test_step(data)


@torch.no_grad()
def test_agrees_with_mmactions_recognizer(recognizer):
    cfg = copy.deepcopy(CFG)
    cfg['type'] = 'Recognizer3D'
    cfg['cls_head'].update(type='I3DHead', dropout_ratio=0, average_clips='prob')
    theirs = MODELS.build(cfg).eval()
    theirs.load_state_dict(recognizer.state_dict())
    for a, b in zip(recognizer.test_step(batch()), theirs.test_step(batch())):
        torch.testing.assert_close(a.pred_score, b.pred_score)
        assert torch.equal(a.pred_label, b.pred_label)


@torch.no_grad()
def test_video_score_is_the_mean_of_the_clips_softmax(recognizer):
    sample = recognizer.test_step(batch(videos=1))[0]
    assert sample.clip_scores.shape == (5, 5)
    torch.testing.assert_close(sample.clip_scores.sum(dim=1), torch.ones(5))
    torch.testing.assert_close(sample.pred_score, sample.clip_scores.mean(dim=0))


def test_extract_feat(recognizer):
    clips = torch.randn(2, 1, 3, 8, 32, 32)
    assert recognizer(clips, mode='tensor', stage='backbone').shape == (2, 32, 1, 2, 2)
    assert recognizer(clips, mode='tensor', stage='head').shape == (2, 5)


@torch.no_grad()
def test_bfloat16_ends_at_the_classifier(recognizer):
    recognizer.test_cfg = dict(dtype='bfloat16')
    types = {}
    for name, module in (('backbone', recognizer.backbone), ('head', recognizer.cls_head.fc_cls)):
        module.register_forward_hook(
            lambda m, args, out, name=name: types.update({name: out.dtype})
        )
    sample = recognizer.test_step(batch(videos=1))[0]
    assert types == dict(backbone=torch.bfloat16, head=torch.float32)
    assert sample.clip_scores.dtype == sample.pred_score.dtype == torch.float32


@pytest.mark.parametrize('head', ['r21d_plugin.ClipHead', 'I3DHead'])
def test_training_in_bfloat16(head):
    """Only the network computes in bfloat16, because MMAction2's heads need float32."""
    cfg = copy.deepcopy(CFG)
    cfg['cls_head']['type'] = head
    recognizer = MODELS.build(cfg)
    wrapper = BFloat16OptimWrapper(optimizer=torch.optim.SGD(recognizer.parameters(), lr=0.1))
    data = batch(videos=2, views=1)
    for sample in data['data_samples']:
        sample.set_gt_label(1)
    types = []
    for module in (recognizer.backbone.layer4, recognizer.backbone, recognizer.cls_head):
        module.register_forward_hook(lambda m, args, out: types.append(out.dtype))
    with wrapper.optim_context(recognizer):
        losses = recognizer(**recognizer.train().data_preprocessor(data, True), mode='loss')
    assert types == [torch.bfloat16, torch.float32, torch.float32]
    assert type(recognizer.backbone.stem[0]) is not torch.nn.Conv3d, 'whose gradients are wrong'
    losses['loss_cls'].backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in recognizer.parameters())
    types.clear()
    recognizer(data['inputs'][0][None].float(), mode='tensor')
    assert set(types) == {torch.float32}, 'after the block it computes as before'


def test_bfloat16_on_the_cpu_needs_our_networks():
    network = torch.nn.Conv3d(3, 4, 3)
    wrapper = BFloat16OptimWrapper(optimizer=torch.optim.SGD(network.parameters(), lr=0.1))
    with pytest.raises(InputError, match='without --amp'), wrapper.optim_context(network):
        pass


@pytest.mark.parametrize('fast', [True, False])
def test_warning_of_slow_bfloat16(fast, monkeypatch):
    monkeypatch.setattr(recognizer_file, 'has_fast_bfloat16', lambda: fast)
    told = []
    monkeypatch.setattr(recognizer_file, 'print_log', lambda message, *_: told.append(message))
    recognizer_file.warn_of_slow_bfloat16.cache_clear()
    for _ in range(2):
        recognizer_file.warn_of_slow_bfloat16()
    recognizer_file.warn_of_slow_bfloat16.cache_clear()
    assert ['several times slower' in message for message in told] == [True] * (not fast)
