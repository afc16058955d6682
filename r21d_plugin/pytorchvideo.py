"""The networks as PyTorchVideo's ``Net`` with ``blocks``.

Blocks 0 to 4 are conv1 and conv2_x to conv5_x of our own backbones, block 5 is
PyTorchVideo's head, so that what works on a ``Net`` works on these::

    net = create_r2plus1d(model_depth=34)
    net.blocks[-1] = create_res_basic_head(...)       # another head
    features = torch.nn.Sequential(*net.blocks[:-1])  # a backbone

The backbone is no second ``Net``, because a ``Net`` draws new weights for the
blocks that it is made of.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from ._errors import InputError
from .models.factory import create_model
from .weights.formats import NET_NAMES, from_net, to_net

try:
    from pytorchvideo.models.head import create_res_basic_head
    from pytorchvideo.models.net import Net
except ModuleNotFoundError as error:
    raise InputError(f"{error}: pip install 'r21d_plugin[pytorchvideo]'") from error

BACKBONE_ONLY = {'out_indices', 'frozen_stages', 'norm_eval'}
"""Arguments for the ``forward`` and ``train`` of a backbone, which a ``Net`` does not call."""


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

    Args:
        name (str): One of :func:`r21d_plugin.list_models`.
        model_num_class (int, optional): Classes. Defaults to those of public
            weights that are named, else 400 (Kinetics).
        input_channel (int, optional): Channels of the input: 3 for RGB, 2 for
            optical flow. Defaults to those of public weights, else 3.
        stem_dim_out (int): Filters of conv1 and conv2_x, doubled by each later
            group. Defaults to 64.
        dropout_rate (float): Probability of dropout before the classifier.
            Defaults to 0.
        head_activation (Callable, optional): Makes what follows the
            classifier, in training too, such as ``nn.Softmax``. Defaults to
            None: the output is logits.
        **kwargs: Further arguments of :func:`r21d_plugin.create_model`, such
            as ``weights``, or ``clip_len`` for R2D.

    Returns:
        Net: Maps normalised clips, N x C x T x H x W, to logits, N x
        model_num_class.

    Raises:
        InputError: If there is no such network or no such weights, or an
            argument has no meaning in a ``Net``.
    """
    if refused := sorted(BACKBONE_ONLY & kwargs.keys()):
        raise InputError(f'{refused[0]}: a Net cannot obey it: change its blocks instead')
    model = create_model(name, model_num_class, input_channel, base_channels=stem_dim_out, **kwargs)
    head = create_res_basic_head(
        in_features=model.fc.in_features,
        out_features=model.fc.out_features,
        pool=nn.AdaptiveAvgPool3d,
        dropout_rate=dropout_rate,
        activation=head_activation,
    )
    head.proj = model.fc
    net = Net(blocks=nn.ModuleList())  # made of blocks, it would draw their weights anew
    net.blocks.extend([*model.groups, head])
    return net


def create_r2d(*, model_depth: int = 18, **kwargs: Any) -> Net:
    """Build R2D: 2D convolutions over the entire clip (Section 3.1).

    Args:
        model_depth (int): Layers, 18 or 34. Defaults to 18.
        **kwargs: Arguments of :func:`create_net`, such as ``clip_len``.
    """
    return create_net(f'r2d_{model_depth}', **kwargs)


def create_fr2d(*, model_depth: int = 18, **kwargs: Any) -> Net:
    """Build f-R2D: 2D convolutions over frames (Section 3.2).

    Args:
        model_depth (int): Layers, 18 or 34. Defaults to 18.
        **kwargs: Arguments of :func:`create_net`.
    """
    return create_net(f'fr2d_{model_depth}', **kwargs)


def create_r3d(*, model_depth: int = 18, **kwargs: Any) -> Net:
    """Build R3D: 3D convolutions (Section 3.3).

    Args:
        model_depth (int): Layers, 18 or 34. Defaults to 18.
        **kwargs: Arguments of :func:`create_net`.
    """
    return create_net(f'r3d_{model_depth}', **kwargs)


def create_mcx(*, x: int, model_depth: int = 18, **kwargs: Any) -> Net:
    """Build MCx: 3D convolutions below group x, 2D from there on (Section 3.4).

    Args:
        x (int): First group of 2D convolutions, 2 to 5.
        model_depth (int): Layers, 18 or 34. Defaults to 18.
        **kwargs: Arguments of :func:`create_net`.
    """
    return create_net(f'mc{x}_{model_depth}', **kwargs)


def create_rmcx(*, x: int, model_depth: int = 18, **kwargs: Any) -> Net:
    """Build rMCx: 2D convolutions below group x, 3D from there on (Section 3.4).

    Args:
        x (int): First group of 3D convolutions, 2 to 5.
        model_depth (int): Layers, 18 or 34. Defaults to 18.
        **kwargs: Arguments of :func:`create_net`.
    """
    return create_net(f'rmc{x}_{model_depth}', **kwargs)


def create_r2plus1d(*, model_depth: int = 18, **kwargs: Any) -> Net:
    """Build R(2+1)D: (2+1)D convolutions (Section 3.5).

    Args:
        model_depth (int): Layers, 18 or 34. Defaults to 18.
        **kwargs: Arguments of :func:`create_net`, such as ``midplanes``.
    """
    return create_net(f'r2plus1d_{model_depth}', **kwargs)


def state_dict_to_net(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of a model of ``create_model`` the names of a ``Net``.

    Args:
        state_dict (Mapping[str, Tensor]): State dict of the network that
            :func:`r21d_plugin.create_model` builds.

    Returns:
        dict[str, Tensor]: State dict of the same network from
        :func:`create_net`, of the same tensors in the same order.

    Raises:
        InputError: If a tensor is not one of such a model.
    """
    check_names(state_dict, NET_NAMES, 'a model of create_model')
    return {to_net(key): value for key, value in state_dict.items()}


def state_dict_from_net(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of a ``Net`` the names of a model of ``create_model``.

    The inverse of :func:`state_dict_to_net`.

    Args:
        state_dict (Mapping[str, Tensor]): State dict of a network that
            :func:`create_net` builds.

    Returns:
        dict[str, Tensor]: State dict for :func:`r21d_plugin.create_model`.

    Raises:
        InputError: If a tensor is not one of such a network, as those of
            another head are not.
    """
    check_names(state_dict, NET_NAMES.values(), 'a Net of r21d_plugin')
    return {from_net(key): value for key, value in state_dict.items()}


def check_names(state_dict: Mapping[str, Tensor], known: Iterable[str], form: str) -> None:
    """Check that the names of all tensors begin as known.

    Raises:
        InputError: If one does not.
    """
    prefixes = tuple(known)
    strangers = [key for key in state_dict if not key.startswith(prefixes)]
    if strangers:
        raise InputError(f'{strangers[0]}: no tensor of {form} has this name')
