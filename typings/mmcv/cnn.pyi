from typing import Any

from torch import nn

def build_norm_layer(
    cfg: dict[str, Any], num_features: int, postfix: int | str = ''
) -> tuple[str, nn.Module]: ...
