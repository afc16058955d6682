"""Weights of any format in MMAction2's recognizers around our backbones."""

import copy

import pytest
import torch
from mmaction.registry import MODELS
from torch import nn
from weights.published import caffe2_blobs, seed_norms

from r21d_plugin import InputError, create_model
from r21d_plugin._norm_eps import set_norm_eps
from r21d_plugin.weights import load_matching, load_state_dict_of, load_weights, match_weights
from r21d_plugin.weights.formats import replace_prefixes

BACKBONE = dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4)
I3D = dict(type='I3DHead', num_classes=5, in_channels=32)
SLOWFAST = dict(type='SlowFastHead', num_classes=5, in_channels=48)
X3D = dict(type='X3DHead', num_classes=5, in_channels=32)
TPN = dict(
    type='TPN',
    in_channels=(32, 64),
    out_channels=32,
    spatial_modulation_cfg=dict(in_channels=(32, 64), out_channels=64),
    temporal_modulation_cfg=dict(downsample_scales=(1, 1)),
    upsample_cfg=dict(scale_factor=(1, 1, 1)),
    downsample_cfg=dict(downsample_scale=(1, 1, 1)),
    level_fusion_cfg=dict(
        in_channels=(32, 32),
        mid_channels=(32, 32),
        out_channels=64,
        downsample_scales=((1, 1, 1), (1, 1, 1)),
    ),
)


def recognizer(head, neck=None, **backbone):
    cfg = dict(type='Recognizer3D', backbone={**BACKBONE, **backbone}, cls_head=head, neck=neck)
    return MODELS.build(copy.deepcopy(cfg))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return seed_norms(create_model('r2plus1d_18', num_classes=5, base_channels=4))


def published(model, form):
    """Write weights of a network in a published format."""
    if form == 'Caffe2':
        return {name: torch.from_numpy(blob) for name, blob in caffe2_blobs(model).items()}
    state_dict = dict(model.state_dict())
    if form == 'torchvision':
        return state_dict
    return replace_prefixes(state_dict, {'fc.': 'cls_head.fc_cls.', '': 'backbone.'})


@pytest.mark.parametrize('form', ['Caffe2', 'torchvision', 'a checkpoint'])
def test_all_of_public_weights_are_loaded(model, form):
    theirs = recognizer(I3D)
    state_dict, report = match_weights(theirs, published(model, form), 'a.pth')
    assert report.startswith('a.pth: ')
    assert 'R(2+1)D-18' in report
    assert ' tensors are loaded, all' in report
    theirs.load_state_dict(state_dict, strict=False)
    theirs.cls_head.dropout = None
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        set_norm_eps(model, theirs.backbone.stem[1].eps)
        found = theirs.eval()(clips[:, None], mode='tensor', stage='head')
        torch.testing.assert_close(found, model.eval()(clips))


@pytest.mark.parametrize(
    ('head', 'backbone', 'reason'),
    [
        (SLOWFAST, dict(out_indices=(2, 3)), r'fc_cls\.weight is \(5, 32\), not \(5, 48\)'),
        (X3D, {}, r'of the head \(cls_head\.fc1\.weight, ...\): finetune'),
        (dict(I3D, num_classes=7), {}, 'num_classes=5, not num_classes=7'),
    ],
)
def test_another_head_is_replaced_in_finetuning_and_refused_in_a_test(
    model, head, backbone, reason
):
    theirs = recognizer(head, **backbone)
    before = copy.deepcopy(theirs.cls_head.state_dict())
    weights = published(model, 'torchvision')
    with pytest.raises(InputError, match=f'a.pth: .*{reason}'):
        match_weights(theirs, weights, 'a.pth')
    state_dict, report = match_weights(theirs, weights, 'a.pth', head='any')
    anew = ', '.join(sorted(f'cls_head.{key}' for key in before))
    assert f'new: {anew}; epsilon' in report
    theirs.load_state_dict(state_dict, strict=False)
    assert torch.equal(theirs.backbone.stem[0].weight, model.stem[0].weight)
    for key, value in theirs.cls_head.state_dict().items():
        assert torch.equal(value, before[key]), 'not even its bias is of the other head'


@pytest.mark.parametrize('finetuning', [False, True])
def test_another_network_is_refused(model, finetuning):
    weights = published(model, 'torchvision')
    with pytest.raises(InputError, match=r'another network: R\(2\+1\)D-18, not MC3-18'):
        match_weights(
            recognizer(I3D, type='r21d_plugin.MCx', x=3),
            weights,
            'a.pth',
            'any' if finetuning else 'required',
        )


def pyramid():
    """Build MMAction2's TPN; in the first test its head adds a second classifier."""
    head = dict(type='TPNHead', num_classes=5, in_channels=2048)
    model = recognizer(head, TPN, base_channels=8, type='r21d_plugin.FR2D', out_indices=(2, 3))
    model.test_cfg = dict(fcn_test=True)
    return model


@torch.no_grad()
def test_a_checkpoint_with_a_neck_is_its_own(tmp_path):
    first, second = pyramid().eval(), pyramid()
    clips = torch.randn(2, 1, 3, 8, 32, 32)
    features, kwargs = first.extract_feat(clips, test_mode=True)
    first.cls_head(features, **kwargs)
    assert first.cls_head.new_cls is not None
    torch.save(dict(state_dict=first.state_dict()), tmp_path / 'a.pth')
    load_weights(second, str(tmp_path / 'a.pth'))
    found = second.eval().extract_feat(clips, test_mode=True)[0]
    torch.testing.assert_close(found, features)
    assert torch.equal(second.cls_head.fc_cls.weight, first.cls_head.fc_cls.weight)

    state_dict = load_state_dict_of(str(tmp_path / 'a.pth'))
    plain = recognizer(dict(I3D, in_channels=64), type='r21d_plugin.FR2D', base_channels=8)
    with pytest.raises(InputError, match=r'weights of another head: .*neck\.'):
        match_weights(plain, state_dict, 'a.pth')
    _, report = match_weights(plain, state_dict, 'a.pth', head='any')
    assert 'new: cls_head.fc_cls.bias, cls_head.fc_cls.weight' in report
    load_weights(plain.backbone, str(tmp_path / 'a.pth'))
    assert torch.equal(plain.backbone.stem[0].weight, first.backbone.stem[0].weight)


class Detector(nn.Module):
    """Module with the structure of MMDetection's FastRCNN."""

    def __init__(self):
        super().__init__()
        self.backbone = MODELS.build(BACKBONE)
        self.roi_head = nn.ModuleDict(dict(bbox_head=nn.Linear(32, 81)))


def test_a_detector_begins_with_weights_of_recognition(model):
    detector = Detector()
    weights = published(model, 'a checkpoint')
    with pytest.raises(InputError, match=r'of the head \(roi_head\.bbox_head\.weight'):
        load_matching(detector, weights, 'a.pth', head='required')
    load_matching(detector, weights, 'a.pth', head='any')
    assert torch.equal(detector.backbone.stem[0].weight, model.stem[0].weight)
    other = Detector()
    load_matching(other, detector.state_dict(), 'b.pth')
    assert all(map(torch.equal, other.parameters(), detector.parameters()))
