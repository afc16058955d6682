import pytest
import torch
from mmaction.registry import MODELS

from r21d_plugin import InputError

NETWORK = dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4)


@pytest.fixture
def checkpoint(tmp_path):
    """Write an RGB checkpoint as training does; return it and its backbone."""
    rgb = MODELS.build(NETWORK)
    rgb.init_weights()
    state = {f'backbone.{key}': value for key, value in rgb.state_dict().items()}
    state['cls_head.fc_cls.weight'] = torch.zeros(5, 32)
    torch.save(dict(state_dict=state), tmp_path / 'rgb.pth')
    return str(tmp_path / 'rgb.pth'), rgb.state_dict()


def flow_network(checkpoint, **kwargs):
    init_cfg = dict(type='r21d_plugin.PretrainedRGB', checkpoint=checkpoint)
    network = MODELS.build(dict(NETWORK, in_channels=2, init_cfg=init_cfg, **kwargs))
    network.init_weights()
    return network.state_dict()


def test_flow_network_from_rgb_weights(checkpoint):
    path, rgb = checkpoint
    flow = flow_network(path)
    first = 'stem.0.weight'
    for channel in range(2):
        torch.testing.assert_close(flow[first][:, channel], rgb[first].mean(dim=1))
    assert all(torch.equal(flow[key], rgb[key]) for key in rgb if key != first)


def test_weights_of_another_network(checkpoint, tmp_path):
    with pytest.raises(InputError, match=r'rgb\.pth: weights of another network'):
        flow_network(checkpoint[0], norm_cfg=dict(type='BN3d'), midplanes='block')
    torch.save({'x': torch.zeros(3)}, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=r'x\.pth: weights of another network'):
        flow_network(str(tmp_path / 'x.pth'))
