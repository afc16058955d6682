"""Tests and training of a network from weights as others wrap them."""

import argparse

import numpy as np
import pytest
import torch
from support import OPTIONS, ROOT
from weights.published import seed_norms

from r21d_plugin import create_model
from r21d_plugin.weights import load_pickle_as_data

pytestmark = pytest.mark.slow

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
FORMS = {
    'plain': dict,
    'script': lambda w: dict(model=w, args=argparse.Namespace(lr=0.1), epoch=1),
    'parallel': lambda w: dict(model={f'module.{k}': v for k, v in w.items()}),
    'compiled': lambda w: {f'_orig_mod.{k}': v for k, v in w.items()},
    'arrays': lambda w: {k: v.numpy() for k, v in w.items()},
    'arrays in a recognizer': lambda w: dict(
        state_dict={
            (f'cls_head.fc_cls.{k[3:]}' if k[:3] == 'fc.' else f'backbone.{k}'): v.numpy()
            for k, v in w.items()
        }
    ),
}


@pytest.fixture(scope='module')
def weights():
    torch.manual_seed(0)
    model = seed_norms(create_model('r2plus1d_18', 400, base_channels=4))
    return dict(model.state_dict())


@pytest.fixture
def scores(tool, in_kinetics, tmp_path):
    """Test a file of weights; return the scores."""

    def run(content):
        torch.save(content, tmp_path / 'a.pth')
        dump = tmp_path / 'scores.pkl'
        work = ('--work-dir', tmp_path / 'work')
        tool('test.py', CONFIG, tmp_path / 'a.pth', '--dump', dump, *work, *OPTIONS)
        samples = load_pickle_as_data(dump)
        return np.stack([np.asarray(sample['pred_score']) for sample in samples])

    return run


def test_all_formats_give_the_same_scores(weights, scores, capsys):
    """Other tests show that the plain file gives what create_model computes."""
    expected = scores(FORMS['plain'](weights))
    for name, form in list(FORMS.items())[1:]:
        np.testing.assert_array_equal(scores(form(weights)), expected, err_msg=name)
        assert '224 of 224 tensors are loaded, all' in capsys.readouterr().out


def test_a_backbone_is_finetuned_but_not_tested(
    weights, tool, fails, in_kinetics, tmp_path, capsys
):
    headless = {k: v for k, v in weights.items() if k[:3] != 'fc.'}
    torch.save(headless, tmp_path / 'xdc.pth')
    work = ('--work-dir', tmp_path / 'work')
    message = fails('test.py', CONFIG, tmp_path / 'xdc.pth', *work, *OPTIONS)
    assert 'xdc.pth: no weights of the head (cls_head.fc_cls.weight, ...): finetune' in message
    once = [f'load_from={tmp_path / "xdc.pth"}', 'train_cfg.max_epochs=1']
    tool('train.py', CONFIG, '--no-validate', *work, *OPTIONS, *once)
    new = 'new: cls_head.fc_cls.bias, cls_head.fc_cls.weight; epsilon of batch norm 0.001'
    assert f'222 of 224 tensors are loaded, {new}' in capsys.readouterr().out
