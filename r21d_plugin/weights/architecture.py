"""Infer the network of a checkpoint from the shapes of its tensors."""

from collections.abc import Mapping
from typing import Any

from .formats import StateDict, identify

NETWORKS = {
    ('3D',) * 5: 'R3D',
    ('(2+1)D',) * 5: 'R(2+1)D',
    ('2D',) * 5: 'f-R2D',
    **{('3D',) * (x - 1) + ('2D',) * (6 - x): f'MC{x}' for x in range(2, 6)},
    **{('2D',) * (x - 1) + ('3D',) * (6 - x): f'rMC{x}' for x in range(2, 6)},
}
"""The paper's networks by the forms of conv1 to conv5_x; R2D is any other."""


def infer_network(state_dict: StateDict, source: str) -> dict[str, Any]:
    """Infer a network from its weights.

    Args:
        state_dict (Mapping[str, Tensor]): Weights of any public format.
        source (str): File or address, for messages.

    Returns:
        dict[str, Any]: ``network`` as the paper calls it, and the arguments that shape it, where
        it has them: ``clip_len``, ``midplanes``, ``base_channels``, ``in_channels``,
        ``num_classes``. Empty if it is no network of this family.

    Raises:
        InputError: See :func:`~.formats.identify`.
    """
    weights = identify(state_dict, source)
    tensors = weights.tensors if weights else {}
    factorized = 'stem.3.weight' in tensors
    try:
        groups = [conv_form(f'layer{i}.0.conv1.0', tensors) for i in range(1, 5)]
        forms = ('(2+1)D' if factorized else conv_form('stem.0', tensors), *groups)
        depth = 2 * sum(key.endswith('.conv1.1.weight') for key in tensors) + 2
        network: dict[str, Any] = dict(network=f'{NETWORKS.get(forms, "R2D")}-{depth}')
        if forms not in NETWORKS:
            network['clip_len'] = tensors['stem.0.weight'].shape[2]
        elif groups[0] == '(2+1)D':
            mids = {len(tensors[f'layer2.0.conv{i}.0.0.weight']) for i in (1, 2)}
            network['midplanes'] = 'block' if len(mids) == 1 else 'layer'
        network['base_channels'] = len(tensors[f'stem.{3 if factorized else 0}.weight'])
        network['in_channels'] = tensors['stem.0.weight'].shape[1]
        if 'fc.weight' in tensors:
            network['num_classes'] = len(tensors['fc.weight'])
    except (KeyError, IndexError, TypeError):  # a tensor is missing or has too few dimensions
        return {}
    return network


def conv_form(path: str, tensors: StateDict) -> str:
    """Form of the convolution at a path: 2D, 3D or (2+1)D."""
    if f'{path}.0.weight' in tensors:
        return '(2+1)D'
    return {1: '2D', 3: '3D'}.get(tensors[f'{path}.weight'].shape[2], 'other')


def format_network(network: Mapping[str, Any]) -> str:
    """Format a network of :func:`infer_network`, such as ``R3D-18 (in_channels=3)``."""
    arguments = ', '.join(f'{k}={v!r}' for k, v in network.items() if k != 'network')
    return f'{network.get("network", "an altered network")} ({arguments})'


def format_difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Format how two networks differ; empty if that cannot be told."""
    names = [name for name in theirs if name in ours and theirs[name] != ours[name]]
    if not names:
        return ''
    if names[0] == 'network':
        return f'{theirs["network"]}, not {ours["network"]}'
    given, wanted = (', '.join(f'{k}={net[k]!r}' for k in names) for net in (theirs, ours))
    return f'{theirs["network"]} with {given}, not {wanted}'
