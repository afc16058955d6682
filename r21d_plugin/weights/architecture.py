"""What network weights are of, told by the shapes of their tensors."""

from collections.abc import Mapping
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes by torchvision's names (see :mod:`.forms`)."""

NETWORKS = {
    ('3D',) * 5: 'R3D',
    ('(2+1)D',) * 5: 'R(2+1)D',
    ('2D',) * 5: 'f-R2D',
    **{('3D',) * (x - 1) + ('2D',) * (6 - x): f'MC{x}' for x in range(2, 6)},
    **{('2D',) * (x - 1) + ('3D',) * (6 - x): f'rMC{x}' for x in range(2, 6)},
}
"""The paper's networks by the forms of their groups of convolutions; R2D is any other."""


def describe(shapes: Shapes) -> dict[str, Any]:
    """Tell a network from the shapes of its tensors.

    Args:
        shapes (Mapping[str, tuple[int, ...]]): Shapes of all of them.

    Returns:
        dict[str, Any]: ``network`` as the paper calls it, and the arguments
        that shape it, as far as it has them: ``clip_len``, ``midplanes``,
        ``base_channels``, ``in_channels``, ``num_classes``. Empty if it is no
        network of this family.
    """
    try:
        stem = 'stem.3.weight' if 'stem.3.weight' in shapes else 'stem.0.weight'
        groups = [form(f'layer{i}.0.conv1.0', shapes) for i in range(1, 5)]
        forms = ('(2+1)D' if 'stem.3.weight' in shapes else form('stem.0', shapes), *groups)
        depth = 2 * sum(key.endswith('.conv1.1.weight') for key in shapes) + 2
        arguments: dict[str, Any] = {}
        if forms not in NETWORKS:
            arguments['clip_len'] = shapes['stem.0.weight'][2]
        elif groups[0] == '(2+1)D':
            mids = {shapes[f'layer2.0.conv{i}.0.0.weight'][0] for i in (1, 2)}
            arguments['midplanes'] = 'block' if len(mids) == 1 else 'layer'
        arguments['base_channels'] = shapes[stem][0]
        arguments['in_channels'] = shapes['stem.0.weight'][1]
    except (KeyError, IndexError):
        return {}
    if 'fc.weight' in shapes:
        arguments['num_classes'] = shapes['fc.weight'][0]
    return dict(network=f'{NETWORKS.get(forms, "R2D")}-{depth}', **arguments)


def form(path: str, shapes: Shapes) -> str:
    """Form of the convolution at a path: 2D, 3D or (2+1)D."""
    if f'{path}.0.weight' in shapes:
        return '(2+1)D'
    return {1: '2D', 3: '3D'}.get(shapes[f'{path}.weight'][2], 'other')


def in_words(network: Mapping[str, Any]) -> str:
    """A network as :func:`describe` gives it, such as ``R3D-18 (in_channels=3)``."""
    arguments = ', '.join(f'{k}={v!r}' for k, v in network.items() if k != 'network')
    return f'{network.get("network", "an altered network")} ({arguments})'


def differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What differs between two networks; only ``network`` if that does."""
    names = [name for name in theirs if name in ours and theirs[name] != ours[name]]
    return names[:1] if names[:1] == ['network'] else names
