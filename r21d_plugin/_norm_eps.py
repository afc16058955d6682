"""Keep the epsilon of batch norm in the metadata of state dicts.

Trained weights depend on the epsilon, and PyTorch's state dicts do not contain it.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ._compat_torch import add_state_dict_hooks

BATCH_NORMS = (nn.BatchNorm3d, nn.SyncBatchNorm)


def norm_eps(network: nn.Module) -> float | None:
    """Return the epsilon of a network's batch norm; None if it has no batch norm."""
    return next((m.eps for m in network.modules() if isinstance(m, BATCH_NORMS)), None)


def set_norm_eps(network: nn.Module, eps: float) -> bool:
    """Set batch norm's epsilon, unless ``norm_cfg`` names one; return whether it now has it."""
    if not getattr(network, 'norm_eps_is_given', False):
        for module in network.modules():
            if isinstance(module, BATCH_NORMS):
                module.eps = eps
    return norm_eps(network) == eps


def keep_norm_eps_in_state_dicts(network: nn.Module) -> None:
    """Make a network save batch norm's epsilon as metadata of state dicts, and restore it."""
    add_state_dict_hooks(network, save=note_norm_eps, load=take_norm_eps)


def note_norm_eps(
    network: nn.Module, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any]
) -> None:
    """Write the epsilon of batch norm to a state dict's metadata, which ``torch.save`` keeps."""
    metadata['norm_eps'] = norm_eps(network)


def take_norm_eps(
    network: nn.Module, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], *_: Any
) -> None:
    """Restore the epsilon of batch norm from a state dict's metadata."""
    if 'norm_eps' in metadata:
        set_norm_eps(network, metadata['norm_eps'])
