"""Build a trained recognizer from a config and a checkpoint, without a runner."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from .._errors import InputError, first_line
from ..engine.memory import keep_freed_memory
from ..models.accelerate import accelerate
from ..models.recognizer import check_runtime
from ..models.runtimes import from_plain_data, runtime_and_dtype
from ..models.tasks import check_head
from ..weights import classes_of, load_checkpoint, load_matching, tensors_alone
from ..weights.loading import Head


def use_device(device: str | None) -> torch.device:
    """Set this process up for a device, by default a GPU if there is one; or an InputError."""
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f'device {device!r}: there is none such here: use cpu') from error
    if device == 'cpu':
        keep_freed_memory()
    return torch.device(device)


def load_recognizer(
    cfg: Config, checkpoint: str, device: torch.device, head: Head = 'required'
) -> BaseRecognizer:
    """Build the recognizer of a config, in evaluation mode, with the weights of a checkpoint.

    Its ``dataset_meta`` has the names of the ``classes`` that the checkpoint has, and ``int8`` is
    the quantised backbone in it, if there is one.

    The checkpoint is a file or URL, or ``'none'`` for a two-stream network whose config names those
    of its streams; ``head`` is that of :func:`~r21d_plugin.load_weights`. Raises an InputError if
    the config names an unknown type or argument, or the weights are missing, unreadable or another
    network's.
    """
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    try:
        model: Any = MODELS.build(cfg.model)
    except (KeyError, TypeError) as error:
        raise InputError(f'{cfg.filename}: {first_line(error)}') from error
    check_runtime(model)
    check_head(model.cls_head)
    if checkpoint != 'none':
        found = load_checkpoint(checkpoint, 'cpu')
        load_matching(model, tensors_alone(found['state_dict'], checkpoint), checkpoint, head=head)
        model.dataset_meta = dict(classes=classes_of(found, checkpoint))
        model.int8 = found.get('int8')
        if runtime_and_dtype(model.test_cfg)[1] == 'int8':
            from_plain_data(model.int8)  # fails now if it is not one
    elif not cfg.model.get('checkpoints'):
        raise InputError('no checkpoint: name one, or those of both streams in the config')
    if cfg.get('default_hooks', {}).get('accelerate', {}) is not None:
        accelerate(model)
    recognizer: BaseRecognizer = model.to(device).eval()
    return recognizer
