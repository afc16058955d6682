import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from support import needs_torch
from torch.nn.functional import cross_entropy

from r21d_plugin import InputError
from r21d_plugin.models.two_stream import TwoStreamHead
from r21d_plugin.weights import fuse_checkpoints, save_checkpoint

CLASSES = 5


def backbone(channels):
    return dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4, in_channels=channels)


def preprocessor(channels):
    mean, std = [100.0] * channels, [50.0] * channels
    return dict(type='ActionDataPreprocessor', mean=mean, std=std, format_shape='NCTHW')


def stream_cfg(channels):
    return dict(
        type='r21d_plugin.MultiClipRecognizer',
        backbone=backbone(channels),
        cls_head=dict(type='r21d_plugin.ClipHead', num_classes=CLASSES, in_channels=32),
        data_preprocessor=preprocessor(channels),
    )


CFG = dict(
    type='r21d_plugin.TwoStreamRecognizer',
    backbone=dict(type='r21d_plugin.TwoStreamBackbone', rgb=backbone(3), flow=backbone(2)),
    cls_head=dict(type='r21d_plugin.TwoStreamHead', num_classes=CLASSES, in_channels=32),
    data_preprocessor=dict(
        type='MultiModalDataPreprocessor',
        preprocessors=dict(imgs=preprocessor(3), flow=preprocessor(2)),
    ),
)


def build(cfg=CFG, **head):
    cfg = copy.deepcopy(cfg)
    cfg['cls_head'].update(head)
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    for name, parameter in model.named_parameters():
        if 'fc_cls' in name:  # initialised so close to zero that all classes would tie
            torch.nn.init.normal_(parameter)
    return model.eval()


def batch(videos=3, views=5):
    generator = torch.Generator().manual_seed(0)

    def clips(channels):
        shape = (views, channels, 8, 32, 32)
        return [torch.randint(256, shape, generator=generator).byte() for _ in range(videos)]

    samples = [ActionDataSample().set_gt_label(i) for i in range(videos)]
    return dict(inputs=dict(imgs=clips(3), flow=clips(2)), data_samples=samples)


def alone(model, stream):
    """Return the recognizer of one stream, with the weights of the two-stream network."""
    recognizer = MODELS.build(stream_cfg(dict(rgb=3, flow=2)[stream])).eval()
    recognizer.backbone.load_state_dict(model.backbone.get_submodule(stream).state_dict())
    recognizer.cls_head.load_state_dict(model.cls_head.classifiers[stream].state_dict())
    return recognizer


@torch.no_grad()
@pytest.mark.parametrize(
    ('head', 'shares'),
    [
        (dict(), (0.5, 0.5)),
        (dict(weights=(0.6, 0.4)), (0.6, 0.4)),
        (dict(weights=(3, 1)), (0.75, 0.25)),
        (dict(weights=(0, 1)), (0.0, 1.0)),
    ],
)
def test_scores_are_the_mean_of_the_streams_softmax(head, shares):
    model = build(**head)
    fused = model.test_step(batch())
    rgb = alone(model, 'rgb').test_step(dict(batch(), inputs=batch()['inputs']['imgs']))
    flow = alone(model, 'flow').test_step(dict(batch(), inputs=batch()['inputs']['flow']))
    for both, first, second in zip(fused, rgb, flow):
        expected = shares[0] * first.clip_scores + shares[1] * second.clip_scores
        torch.testing.assert_close(both.clip_scores, expected)
        torch.testing.assert_close(both.pred_score, expected.mean(dim=0))
        assert both.pred_label == expected.mean(dim=0).argmax()
        torch.testing.assert_close(both.stream_scores['rgb'], first.clip_scores)
        torch.testing.assert_close(both.stream_scores['flow'], second.clip_scores)


@torch.no_grad()
@pytest.mark.parametrize('limit', [1, 4, 100])
def test_chunks_do_not_change_the_result(limit):
    model = build()
    whole = model.test_step(batch())
    model.test_cfg = dict(max_testing_views=limit)
    seen = []
    model.backbone.flow.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    chunked = model.test_step(batch())
    assert max(seen) <= limit
    assert sum(seen) == 15
    for a, b in zip(whole, chunked):
        torch.testing.assert_close(a.clip_scores, b.clip_scores)


def losses(model):
    data = model.data_preprocessor(batch(views=1), True)
    return model(**data, mode='loss'), model(
        **model.data_preprocessor(batch(views=1)), stage='head'
    )


def test_a_loss_of_each_stream():
    values, logits = losses(build())
    labels = torch.arange(3)
    torch.testing.assert_close(values['rgb_loss_cls'], cross_entropy(logits[:, 0], labels))
    torch.testing.assert_close(values['flow_loss_cls'], cross_entropy(logits[:, 1], labels))
    assert 'rgb_top1_acc' in values


@pytest.mark.parametrize('head', [dict(), dict(weights=(3, 1)), dict(dropout_ratio=0.5)])
def test_every_parameter_learns(head):
    model = build(**head).train()
    loss = sum(value for name, value in losses(model)[0].items() if 'loss' in name)
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize('weights', [(1,), (1, 2, 3), 0.5, (-1, 2), (0, 0), (1, float('nan')), ()])
def test_bad_weights(weights):
    with pytest.raises(InputError, match=r'weights=.*: give one of RGB and one of flow') as error:
        TwoStreamHead(num_classes=CLASSES, weights=weights)
    assert '\n' not in str(error.value)


@pytest.fixture
def checkpoints(tmp_path):
    """Write checkpoints of the streams of a network."""
    model = build()
    paths = {stream: str(tmp_path / f'{stream}.pth') for stream in ('rgb', 'flow')}
    for stream, path in paths.items():
        torch.save(dict(state_dict=alone(model, stream).state_dict()), path)
    return model, paths


@needs_torch('serialization.add_safe_globals')  # 1.13 reads no floats
def test_fused_checkpoint(checkpoints, tmp_path):
    model, paths = checkpoints
    save_checkpoint(fuse_checkpoints(**paths), tmp_path / 'fused.pth')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['flow.pth', 'fused.pth', 'rgb.pth']
    fused = torch.load(tmp_path / 'fused.pth', weights_only=True)
    expected = model.state_dict()
    assert fused['state_dict'].keys() == expected.keys()
    assert all(torch.equal(fused['state_dict'][key], expected[key]) for key in expected)
    assert fused['meta'] == dict(paths, dataset_meta=dict(classes=()))


def test_checkpoints_of_both_streams(checkpoints):
    model, paths = checkpoints
    loaded = MODELS.build(dict(copy.deepcopy(CFG), checkpoints=paths))
    for _ in range(2):
        for key, value in loaded.state_dict().items():
            assert torch.equal(value, model.state_dict()[key]), key
        loaded.init_weights()  # as training does


@needs_torch('serialization.add_safe_globals')  # 1.13 reads no floats
def test_bad_checkpoints(checkpoints, tmp_path):
    _, paths = checkpoints
    rgb, flow = paths['rgb'], paths['flow']
    with pytest.raises(InputError, match=r'flow\.pth: takes 2 channels, not RGB: .* swapped'):
        fuse_checkpoints(flow, rgb)
    with pytest.raises(InputError, match='checkpoints has rgb: give one of rgb and one of flow'):
        MODELS.build(dict(copy.deepcopy(CFG), checkpoints=dict(rgb=rgb)))
    other = torch.load(flow, weights_only=True)
    other['state_dict']['cls_head.fc_cls.weight'] = torch.zeros(7, 32)
    torch.save(other, tmp_path / 'seven.pth')
    with pytest.raises(InputError, match=r'rgb\.pth has 5 classes and .*seven\.pth 7'):
        fuse_checkpoints(rgb, str(tmp_path / 'seven.pth'))
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    with pytest.raises(InputError, match=r'empty\.pth: weights of another network: no tensor'):
        fuse_checkpoints(str(tmp_path / 'empty.pth'), flow)
    deeper = build(
        dict(copy.deepcopy(CFG), backbone=dict(CFG['backbone'], flow=dict(backbone(2), depth=34)))
    )
    torch.save(dict(state_dict=alone_state(deeper)), tmp_path / 'deep.pth')
    with pytest.raises(InputError, match=r'deep\.pth: weights of another network'):
        MODELS.build(
            dict(copy.deepcopy(CFG), checkpoints=dict(rgb=rgb, flow=str(tmp_path / 'deep.pth')))
        )


def alone_state(model):
    """Return the state dict of the flow stream as its own training writes it."""
    backbone = {f'backbone.{k}': v for k, v in model.backbone.flow.state_dict().items()}
    head = model.cls_head.classifiers['flow'].state_dict()
    return {**backbone, **{f'cls_head.{k}': v for k, v in head.items()}}
