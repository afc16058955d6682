"""The names of tensors in VMZ, the authors' release (https://github.com/facebookresearch/VMZ).

Read off its model builder: blocks are numbered through the network, and
``riv`` holds the running variance, whatever its name says.
"""

import re
from collections.abc import Iterable

MODULES = {
    'conv1': 'stem.0',
    'conv1_spatbn_relu': 'stem.1',
    'comp_#_conv_1': '#.conv1.0',
    'comp_#_spatbn_1': '#.conv1.1',
    'comp_#_conv_2': '#.conv2.0',
    'comp_#_spatbn_2': '#.conv2.1',
    'shortcut_projection_#': '#.downsample.0',
    'shortcut_projection_#_spatbn': '#.downsample.1',
}
"""Convolutions and norms, # being a block, and what torchvision calls them."""

FACTORISED = {
    'conv1_middle': 'stem.0',
    'conv1_middle_spatbn_relu': 'stem.1',
    'conv1': 'stem.3',
    'conv1_spatbn_relu': 'stem.4',
    'comp_#_conv_1_middle': '#.conv1.0.0',
    'comp_#_spatbn_1_middle': '#.conv1.0.1',
    'comp_#_conv_1': '#.conv1.0.3',
    'comp_#_conv_2_middle': '#.conv2.0.0',
    'comp_#_spatbn_2_middle': '#.conv2.0.1',
    'comp_#_conv_2': '#.conv2.0.3',
}
"""What is called otherwise in R(2+1)D."""

PARAMETERS = dict(w='weight', s='weight', b='bias', rm='running_mean', riv='running_var')

BLOCK = re.compile(r'(?<=comp_)\d+|(?<=shortcut_projection_)\d+')


def names(blobs: Iterable[str]) -> dict[str, str]:
    """Name the blobs of a network as torchvision does.

    Args:
        blobs (Iterable[str]): All blobs of the network.

    Returns:
        dict[str, str]: torchvision's name by blob; one that is unknown keeps
        its own.
    """
    blobs = list(blobs)
    modules = MODULES | FACTORISED if 'conv1_middle_w' in blobs else MODULES
    projections = (re.fullmatch(r'shortcut_projection_(\d+)_w', blob) for blob in blobs)
    # The blocks that begin conv3_x to conv5_x have a projection for a shortcut.
    firsts = [0, *sorted(int(match[1]) for match in projections if match)]

    def name(blob: str) -> str:
        module, _, parameter = blob.rpartition('_')
        number = BLOCK.search(module)
        if re.fullmatch(r'last_out_L\d+', module):
            path = 'fc'
        elif number is None:
            path = modules.get(module, '')
        else:
            path = modules.get(BLOCK.sub('#', module), '')
            path = path.replace('#', layer(int(number[0]), firsts))
        return f'{path}.{PARAMETERS[parameter]}' if path and parameter in PARAMETERS else blob

    return {blob: name(blob) for blob in blobs}


def layer(block: int, firsts: list[int]) -> str:
    """Path of a block, given the blocks that begin conv2_x to conv5_x."""
    group = max(i for i, first in enumerate(firsts) if first <= block)
    return f'layer{group + 1}.{block - firsts[group]}'
