"""Let ``import torchvision`` work beside another build of torch than its own.

Its wheels are built for CUDA and cannot load their compiled ops beside a CPU
build of torch. The import then fails, because two of the ops are expected to
exist. Nothing here calls them, so it is enough to declare them.

Python runs this module whenever it starts with this folder on ``PYTHONPATH``.
"""

try:
    import torchvision  # noqa: F401
except ModuleNotFoundError:
    pass
except RuntimeError:
    import torch

    for op in ('nms', 'qnms'):
        torch.library.define(
            f'torchvision::{op}', '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
        )
