"""Initialisation of backbones from weights, by MMEngine's ``init_cfg``."""

from typing import Any

from torch import nn

from .._errors import InputError
from .._registries import WEIGHT_INITIALIZERS
from .files import load_state_dict_of
from .forms import EPS, named_as_in, recognise
from .loading import load_matching, load_weights


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Initialise a network with weights of any public form, in anybody's config.

    Args:
        checkpoint (str): File or address of the weights. A classifier in them
            is left out.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load the weights.

        Raises:
            InputError: If they are those of another network.
        """
        load_weights(module, self.checkpoint)


@WEIGHT_INITIALIZERS.register_module()
class PretrainedRGB:
    """Initialise a flow backbone with that of an RGB checkpoint.

    The first convolution gets the mean of its weights over the three colours
    for each of its own channels, as two-stream networks do since `Wang et al.
    <https://arxiv.org/abs/1608.00859>`_ (Section 3.2); all else is copied. For
    the backbone's ``init_cfg``.

    Args:
        checkpoint (str): Checkpoint (file or URL) of the same network on RGB, of any public form.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into the backbone.

        Raises:
            InputError: If they are those of another network.
        """
        weights = recognise(load_state_dict_of(self.checkpoint), self.checkpoint)
        first = 'stem.0.weight'
        if weights is None or first not in weights.tensors:
            raise InputError(f'{self.checkpoint}: weights of another network than the backbone')
        colours = weights.tensors[first]
        channels = module.state_dict()[first].shape[1]
        averaged = colours.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1, -1)
        tensors = weights._replace(tensors={**weights.tensors, first: averaged})
        network: Any = module
        network.set_norm_eps(EPS if weights.eps is None else weights.eps)
        load_matching(module, named_as_in(module, tensors), self.checkpoint)
