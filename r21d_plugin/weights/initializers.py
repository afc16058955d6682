"""Initialisation from weights of another input."""

from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..errors import InputError
from ..registry import WEIGHT_INITIALIZERS
from .loading import load_matching


@WEIGHT_INITIALIZERS.register_module()
class PretrainedRGB:
    """Initialise a flow backbone with that of an RGB checkpoint.

    The first convolution gets the mean of its weights over the three colours
    for each of its own channels, as two-stream networks do since `Wang et al.
    <https://arxiv.org/abs/1608.00859>`_ (Section 3.2); all else is copied. For
    the backbone's ``init_cfg``.

    Args:
        checkpoint (str): Checkpoint (file or URL) of the same network on RGB.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into the backbone.

        Raises:
            InputError: If they are those of another network.
        """
        loaded = CheckpointLoader.load_checkpoint(self.checkpoint, map_location='cpu')
        state_dict: dict[str, Tensor] = {
            key.removeprefix('backbone.'): value
            for key, value in loaded.get('state_dict', loaded).items()
            if not key.startswith(('cls_head.', 'fc.'))
        }
        first = next((key for key, value in state_dict.items() if value.ndim == 5), None)
        own = module.state_dict()
        if first is None or first not in own:
            raise InputError(f'{self.checkpoint}: weights of another network than the backbone')
        weight = state_dict[first].mean(dim=1, keepdim=True)
        state_dict[first] = weight.expand(-1, own[first].shape[1], -1, -1, -1)
        load_matching(module, state_dict, self.checkpoint)
