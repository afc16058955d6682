"""Initialisation from weights of another input."""

from torch import nn

from .._errors import InputError
from ..registry import WEIGHT_INITIALIZERS
from .files import load_state_dict_of
from .forms import named_as_in, recognise
from .loading import load_matching


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
        load_matching(module, named_as_in(module, tensors), self.checkpoint)
