import os
import pickle

import pytest
import torch

from r21d_plugin import InputError, create_model
from r21d_plugin.weights import load_checkpoint, match_weights


@pytest.fixture
def model():
    return create_model('fr2d_18', num_classes=5)


class RunsCode:
    def __reduce__(self):
        return os.system, ('touch was-here',)


@pytest.mark.parametrize('content', [b'', b'hello', b'PK\x03\x04 not really a zip'])
def test_not_a_checkpoint(tmp_path, content):
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'a\.pth: not a readable checkpoint'):
        load_checkpoint(str(path))


def test_truncated(tmp_path, model):
    path = tmp_path / 'a.pth'
    torch.save(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r'a\.pth: not a readable checkpoint, truncated'):
        load_checkpoint(str(path))


def test_missing():
    with pytest.raises(InputError, match=r'nope\.pth: no such checkpoint file'):
        load_checkpoint('nope.pth')


@pytest.mark.parametrize('protocol', [2, 4])
def test_code_does_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=RunsCode()), 'zip.pth', pickle_protocol=protocol)
    (tmp_path / 'plain.pth').write_bytes(pickle.dumps(RunsCode(), protocol))
    for name in ('zip.pth', 'plain.pth'):
        with pytest.raises(InputError, match=f'{name}: not'):
            load_checkpoint(name)
    assert not (tmp_path / 'was-here').exists()


def test_refusal_names_the_refused_object(tmp_path):
    torch.save(dict(state_dict=RunsCode()), tmp_path / 'a.pth')
    with pytest.raises(InputError, match=r'\(posix\.system\) and could run code'):
        load_checkpoint(str(tmp_path / 'a.pth'))


def test_match(model):
    match_weights(model, model.state_dict(), 'a.pth')
    without = {k: v for k, v in model.state_dict().items() if 'num_batches_tracked' not in k}
    match_weights(model, without, 'a.pth')


def test_mismatch_is_named(model):
    state_dict = dict(model.state_dict())
    state_dict['odd'] = state_dict.pop('stem.1.weight')
    state_dict['fc.weight'] = state_dict['fc.weight'][:, :3]
    with pytest.raises(InputError) as error:
        match_weights(model, state_dict, 'a.pth')
    message = str(error.value)
    assert message.startswith('a.pth: weights of another network: 1 of ')
    assert 'tensors are missing (stem.1.weight, ...)' in message
    assert '1 do not belong to it (odd, ...)' in message
    assert '1 have another shape (fc.weight is (5, 3), not (5, 512))' in message
    assert '\n' not in message


def test_a_new_classifier_may_differ(model):
    state_dict = {k: v for k, v in model.state_dict().items() if not k.startswith('fc.')}
    match_weights(model, state_dict, 'a.pth', head='any')
