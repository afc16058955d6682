"""Names of tensors in a PyTorchVideo ``Net`` of ours, whose blocks are numbered.

:mod:`r21d_plugin.pytorchvideo` builds such networks; nothing here needs
PyTorchVideo.
"""

from collections.abc import Mapping

NET_NAMES = {
    'stem.': 'blocks.0.',
    'layer1.': 'blocks.1.',
    'layer2.': 'blocks.2.',
    'layer3.': 'blocks.3.',
    'layer4.': 'blocks.4.',
    'fc.': 'blocks.5.proj.',
}
"""Begin of a tensor's name in a ``Net`` by that of torchvision."""


def to_net(key: str) -> str:
    """Name in a ``Net`` of a tensor by torchvision's name.

    Args:
        key (str): Such as ``layer1.0.conv1.0.weight`` or ``fc.bias``.

    Returns:
        str: Such as ``blocks.1.0.conv1.0.weight`` or ``blocks.5.proj.bias``;
        any other name as it is.
    """
    return with_prefix_of(key, NET_NAMES)


def from_net(key: str) -> str:
    """Torchvision's name of a tensor by that in a ``Net``: the inverse of :func:`to_net`."""
    return with_prefix_of(key, {net: own for own, net in NET_NAMES.items()})


def with_prefix_of(key: str, names: Mapping[str, str]) -> str:
    """Replace the begin of a name that is listed."""
    for old, new in names.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key
