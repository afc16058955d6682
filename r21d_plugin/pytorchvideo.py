"""Build the networks as PyTorchVideo's ``Net`` with ``blocks``.

Blocks 0 to 4 are conv1 and conv2_x to conv5_x of our backbones, and block 5 is PyTorchVideo's head,
so code for a ``Net`` works with these networks::

    net = create_r2plus1d(model_depth=34)
    net.blocks[-1] = create_res_basic_head(...)       # another head
    features = torch.nn.Sequential(*net.blocks[:-1])  # a backbone
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from ._errors import InputError, check_whole
from ._norm_eps import keep_norm_eps_in_state_dicts
from ._packages import missing_packages_named
from .models.factory import create_model
from .weights.formats import FROM_NET, NET_NAMES, StateDict, noted_eps, replace_prefixes
from .weights.loading import with_eps

with missing_packages_named():
    from pytorchvideo.models.head import create_res_basic_head
    from pytorchvideo.models.net import Net

__all__ = ['create_fr2d', 'create_mcx', 'create_r2d', 'create_r2plus1d', 'create_r3d']
__all__ += ['create_rmcx', 'state_dict_from_net', 'state_dict_to_net']


def create_net(
    name: str,
    *,
    model_num_class: int | None = None,
    input_channel: int | None = None,
    stem_dim_out: int = 64,
    dropout_rate: float = 0.0,
    head_activation: Callable[[], nn.Module] | None = None,
    **kwargs: Any,
) -> Net:
    """Build the network of :func:`r21d_plugin.create_model` as a ``Net``.

    ``model_num_class``, ``input_channel`` and ``stem_dim_out`` are its ``num_classes``,
    ``in_channels`` and ``base_channels``; ``kwargs`` are its other arguments, such as ``weights``.
    ``head_activation``, such as ``nn.Softmax``, is applied to the logits, in training too.
    """
    ours = {'drop_rate', 'features_only', 'frozen_stages', 'norm_eval', 'out_indices'}
    if refused := sorted(ours & kwargs.keys()):
        raise InputError(f'{refused[0]}: not supported by a Net: change its blocks instead')
    if model_num_class is not None:
        check_whole('model_num_class', model_num_class)
    model = create_model(name, model_num_class, input_channel, base_channels=stem_dim_out, **kwargs)
    head = create_res_basic_head(
        in_features=model.fc.in_features,
        out_features=model.fc.out_features,
        pool=nn.AdaptiveAvgPool3d,
        dropout_rate=dropout_rate,
        activation=head_activation,
    )
    head.proj = model.fc
    net = Net(blocks=nn.ModuleList())  # Net initialises blocks passed to it again
    net.blocks.extend([*model.groups, head])
    net.norm_eps_is_given = model.norm_eps_is_given
    keep_norm_eps_in_state_dicts(net)
    return net


def create_of_depth(family: str, *, model_depth: int = 18, **kwargs: Any) -> Net:
    """Build the network of a family and depth; ``kwargs`` are passed to :func:`create_net`."""
    return create_net(f'{family}_{model_depth}', **kwargs)


create_r2d = partial(create_of_depth, 'r2d')  # 2D convolutions over clips of clip_len frames
create_fr2d = partial(create_of_depth, 'fr2d')  # 2D convolutions over frames
create_r3d = partial(create_of_depth, 'r3d')  # 3D convolutions
create_r2plus1d = partial(create_of_depth, 'r2plus1d')  # midplanes by layer or by block


def create_mcx(*, x: int, **kwargs: Any) -> Net:
    """Build MCx: 3D convolutions below group x (2 to 5), 2D from there on."""
    return create_of_depth(f'mc{x}', **kwargs)


def create_rmcx(*, x: int, **kwargs: Any) -> Net:
    """Build rMCx: 2D convolutions below group x (2 to 5), 3D from there on."""
    return create_of_depth(f'rmc{x}', **kwargs)


def state_dict_to_net(state_dict: StateDict) -> dict[str, Tensor]:
    """Rename the tensors of a model of ``create_model`` to those of a ``Net``."""
    return rename(state_dict, NET_NAMES, 'a model of create_model')


def state_dict_from_net(state_dict: StateDict) -> dict[str, Tensor]:
    """Rename the tensors of a ``Net`` to those of a model of ``create_model``."""
    return rename(state_dict, FROM_NET, 'a Net of r21d_plugin')


def rename(state_dict: StateDict, prefixes: dict[str, str], form: str) -> dict[str, Tensor]:
    """Replace the prefixes of names, each of which must have one; keep batch norm's epsilon."""
    for key in state_dict:
        if not key.startswith(tuple(prefixes)):
            raise InputError(f'{key}: no tensor of {form} has this name')
    eps = noted_eps(state_dict)
    return with_eps(replace_prefixes(state_dict, prefixes), {'': eps['']} if '' in eps else {})
