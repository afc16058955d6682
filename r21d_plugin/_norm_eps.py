"""Epsilon of batch norm: trained weights depend on it, and PyTorch's state dicts do not hold it."""

from __future__ import annotations

from typing import Any

from torch import nn

from ._compat_torch import add_state_dict_hooks

BATCH_NORMS = (nn.BatchNorm3d, nn.SyncBatchNorm)


def norm_eps(network: nn.Module) -> float | None:
    """Epsilon of a network's batch norm; None if it has none."""
    return next((m.eps for m in network.modules() if isinstance(m, BATCH_NORMS)), None)


def set_norm_eps(network: nn.Module, eps: float) -> bool:
    """Set batch norm's epsilon, unless ``norm_cfg`` names one; return whether it has this."""
    if not getattr(network, 'norm_eps_is_given', False):
        for module in network.modules():
            if isinstance(module, BATCH_NORMS):
                module.eps = eps
    return norm_eps(network) == eps


def keep_norm_eps_in_state_dicts(network: nn.Module) -> None:
    """Write batch norm's epsilon to state dicts, as metadata, and take it from there."""
    add_state_dict_hooks(network, save=note_norm_eps, load=take_norm_eps)


def note_norm_eps(
    network: nn.Module, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any]
) -> None:
    """Write the epsilon of batch norm into a state dict's metadata, which saving keeps."""
    metadata['norm_eps'] = norm_eps(network)


def take_norm_eps(
    network: nn.Module, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], *_: Any
) -> None:
    """Take the epsilon of batch norm from a state dict's metadata, whoever loads it."""
    if 'norm_eps' in metadata:
        set_norm_eps(network, metadata['norm_eps'])
