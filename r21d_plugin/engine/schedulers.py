"""Learning rate schedules of the recipe."""

from mmengine.dist import get_world_size
from mmengine.optim import LinearLR

from .._registries import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class GradualWarmupLR(LinearLR):
    """Warm-up of `Goyal et al. <https://arxiv.org/abs/1706.02677>`_ (Section 2.2).

    The learning rate of n processes is n times that of one; this ramps it linearly from the latter
    to the former, so it does nothing to a single process. Section 4.1 uses it for the first 10
    epochs.

    Args:
        optimizer (Optimizer): The optimizer.
        **kwargs: Arguments of MMEngine's LinearLR, ``start_factor`` excepted.
    """

    def __init__(self, optimizer, **kwargs) -> None:
        super().__init__(optimizer, start_factor=1 / get_world_size(), **kwargs)
