"""Initialisers of backbones for MMEngine's ``init_cfg``."""

from torch import nn

from .._registries import WEIGHT_INITIALIZERS
from .loading import load_matching, load_weights, read_weights


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Initialise a network with weights of any public format, in any config.

    Args:
        checkpoint (str): File or URL of the weights. A classifier in them is ignored.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load the weights; raises InputError if they are those of another network."""
        load_weights(module, self.checkpoint)


@WEIGHT_INITIALIZERS.register_module()
class PretrainedRGB(Pretrained):
    """Initialise a flow backbone from an RGB checkpoint of the same network.

    Each channel of conv1 gets the mean of the RGB weights over the three colours, as in `Wang et
    al. <https://arxiv.org/abs/1608.00859>`_ (Section 3.2); all other weights are copied.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the weights; raises InputError if they are those of another network."""
        weights = read_weights(self.checkpoint)
        first = 'stem.0.weight'
        channels = module.state_dict()[first].shape[1]
        averaged = weights.tensors[first].mean(dim=1, keepdim=True).expand(-1, channels, -1, -1, -1)
        adapted = weights._replace(tensors={**weights.tensors, first: averaged})
        load_matching(module, adapted, self.checkpoint)
