from r21d_plugin import create_model
from r21d_plugin.weights.net_names import from_net, to_net


def test_every_tensor_has_a_name_in_a_net():
    names = [key.removeprefix('backbone.') for key in create_model('r2plus1d_18').state_dict()]
    net_names = [to_net(name) for name in names]
    assert all(name.startswith('blocks.') for name in net_names)
    assert [from_net(name) for name in net_names] == names


def test_names():
    assert to_net('stem.0.weight') == 'blocks.0.0.weight'
    assert to_net('layer4.1.conv2.0.3.weight') == 'blocks.4.1.conv2.0.3.weight'
    assert to_net('fc.bias') == 'blocks.5.proj.bias'
    assert from_net('blocks.6.weight') == 'blocks.6.weight'
