import copy
import pickle

import pytest
import torch

from r21d_plugin import InputError, create_model, list_models


def test_list_models_names_the_whole_family():
    families = [
        'r2d',
        'fr2d',
        'r3d',
        'r2plus1d',
        *(f'{r}mc{x}' for r in ('', 'r') for x in range(2, 6)),
    ]
    names = list_models()
    for depth in (18, 26, 34, 50, 101, 152):
        assert {f'{family}_{depth}' for family in families} <= set(list_models(depth))
        assert list_models(depth) == [name for name in names if name.endswith(f'_{depth}')]
    with pytest.raises(InputError, match='depth=19: use one of'):
        list_models(19)


def test_create_model_maps_clips_to_logits():
    model = create_model('mc4_18', num_classes=7, in_channels=2).eval()
    with torch.no_grad():
        assert model(torch.randn(2, 2, 8, 32, 32)).shape == (2, 7)


def test_r2d_fits_the_clip_length():
    assert create_model('r2d_18').clip_len == 8
    assert create_model('r2d_34').clip_len == 32
    assert create_model('r2d_50', base_channels=4).clip_len == 32
    assert create_model('r2d_18', clip_len=16).clip_len == 16


@pytest.mark.parametrize('name', ['r2d_18', 'mc3_18', 'r2plus1d_18'])
def test_models_are_copied_and_pickled(name):
    model = create_model(name, 5, clip_len=8, base_channels=4).eval()
    clips = torch.randn(1, 3, 8, 32, 32)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(copied) is type(model)
        assert copied.state_dict()._metadata == model.state_dict()._metadata
        assert torch.equal(copied(clips), model(clips))


def test_create_model_is_quiet(capfd):
    create_model('fr2d_18')
    out, _err = capfd.readouterr()
    assert out == ''


def test_weights_of_a_trained_recognizer(tmp_path):
    model = create_model('fr2d_18', num_classes=3)
    state_dict = {as_trained(k): v for k, v in model.state_dict().items()}
    torch.save(dict(state_dict=state_dict), tmp_path / 'epoch_1.pth')
    loaded = create_model('fr2d_18', num_classes=3, weights=str(tmp_path / 'epoch_1.pth'))
    for a, b in zip(model.state_dict().values(), loaded.state_dict().values()):
        assert torch.equal(a, b)
    with pytest.raises(InputError, match=r'epoch_1.pth: weights of another network'):
        create_model('fr2d_34', num_classes=3, weights=str(tmp_path / 'epoch_1.pth'))


def test_weights_of_a_head_for_numbers(tmp_path):
    """The scale of the targets is folded into the classifier."""
    model = create_model('fr2d_18', num_classes=2, base_channels=4)
    state_dict = {as_trained(k): v for k, v in model.state_dict().items()}
    mean, std = torch.tensor([50.0, 3.0]), torch.tensor([10.0, 2.0])
    scale = {'cls_head.target_mean': mean, 'cls_head.target_std': std}
    torch.save(dict(state_dict={**state_dict, **scale}), tmp_path / 'epoch_1.pth')
    loaded = create_model('fr2d_18', weights=str(tmp_path / 'epoch_1.pth'), base_channels=4)
    x = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        expected = model.eval()(x) * std + mean
        torch.testing.assert_close(loaded.eval()(x), expected, rtol=1e-4, atol=1e-4)


def test_weights_of_other_models(tmp_path):
    torch.save(dict(weight=torch.zeros(2)), tmp_path / 'x.pth')
    with pytest.raises(InputError, match=r'x.pth: weights of another network: no tensor name'):
        create_model('r3d_18', weights=tmp_path / 'x.pth')


def as_trained(key):
    return key.replace('fc.', 'cls_head.fc_cls.') if key.startswith('fc.') else f'backbone.{key}'


def test_unknown_name():
    message = "no network 'r2plus1d_20': choose from r2d_18, .* 34, 50, 101 or 152 layers"
    with pytest.raises(InputError, match=message):
        create_model('r2plus1d_20')


def test_features_have_no_classes():
    with pytest.raises(InputError, match='num_classes=5: features_only=True has no classifier'):
        create_model('r3d_18', num_classes=5, features_only=True)
    with pytest.raises(InputError, match=r'drop_rate=0\.5: features_only=True has no'):
        create_model('r3d_18', drop_rate=0.5, features_only=True)


def test_drop_rate():
    torch.manual_seed(0)
    model = create_model('r3d_18', 5, base_channels=8, norm_eval=True, drop_rate=0.5)
    seen, clips = [], torch.randn(8, 3, 8, 32, 32)
    model.fc.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    for mode in (False, True):
        model.train(mode)(clips)
    kept = seen[1] != 0
    assert 0.3 < kept.float().mean() < 0.6
    torch.testing.assert_close(seen[1][kept], 2 * seen[0][kept])
    with pytest.raises(InputError, match=r'out_indices=\(1,\): needs features_only=True'):
        create_model('r3d_18', out_indices=(1,))
