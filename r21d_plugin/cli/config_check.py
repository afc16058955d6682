"""Find misspelt and missing keys of a config."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from .._errors import InputError, check_whole

RUN_KEYS = {*inspect.signature(Runner.__init__).parameters} - {'self', 'cfg'} | {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
}
"""Top-level keys that MMEngine's runner reads; other keys only name values within the config."""

PLAIN_KEYS: dict[str, set[str]] = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'data_prefix': {'audio', 'img', 'video'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'model.test_cfg': {
        'dtype',
        'fcn_test',
        'max_testing_views',
        'runtime',
    },
    'optim_wrapper.paramwise_cfg': {
        'bias_decay_mult',
        'bias_lr_mult',
        'bypass_duplicate',
        'custom_keys',
        'dcn_offset_lr_mult',
        'dwconv_decay_mult',
        'flat_decay_mult',
        'norm_decay_mult',
    },
}
"""Known keys of dictionaries, by path or last name; their other keys are silently ignored."""

UNREAD = {
    'model.test_cfg': {
        'average_clips': 'set model.cls_head.average_clips',
        'feature_extraction': 'use r21d features',
    },
    'model.train_cfg': {
        'aux_info': 'remove it',
        'blending': 'set model.data_preprocessor.blending',
    },
}
"""Keys of MMAction2 0.x that MMAction2 1.x ignores, by path, and what to do."""

TOGETHER = (
    ('train_cfg', 'train_dataloader', 'optim_wrapper'),
    ('val_cfg', 'val_dataloader', 'val_evaluator'),
    ('test_cfg', 'test_dataloader', 'test_evaluator'),
)
"""Groups of keys of which a config must have all or none."""


def check_config(cfg: Config, path: str) -> None:
    """Raise an InputError if a key is misspelt."""
    for name in cfg:
        refuse_misspelling(name, RUN_KEYS, path, cutoff=0.85)
    for parent, read in PLAIN_KEYS.items():
        for name in dict_at(cfg, parent):
            refuse_misspelling(name, read, f'{path}: {parent}', cutoff=0.75)
    for parent, remedies in UNREAD.items():
        for name, remedy in remedies.items():
            if dict_at(cfg, parent).get(name):
                raise InputError(f'{path}: {parent}: nothing reads {name}: {remedy}')
    if not cfg.get('model'):
        raise InputError(f'{path}: no model in this config')


def check_run(cfg: Config, path: str) -> None:
    """Raise an InputError if a config of a run lacks a key that others need, or a length."""
    for name in ('max_epochs', 'max_iters', 'val_interval'):
        if name in (cfg.get('train_cfg') or {}):
            check_whole(f'{path}: train_cfg.{name}', cfg.train_cfg[name])
    check_units(cfg, path)
    for names in TOGETHER:
        missing = [name for name in names if cfg.get(name) is None]
        if 0 < len(missing) < len(names):
            given = ', '.join(sorted({*names} - {*missing}))
            raise InputError(f'{path}: {" and ".join(missing)} missing, which {given} needs')


def check_units(cfg: Config, path: str) -> None:
    """Raise an InputError if training counts iterations, and another part of the config epochs."""
    train_cfg = cfg.get('train_cfg') or {}
    if train_cfg.get('type') != 'IterBasedTrainLoop' and train_cfg.get('by_epoch', True):
        return
    given = cfg.get('param_scheduler') or []
    schedulers = [given] if isinstance(given, dict) else given
    parts = [('param_scheduler', scheduler) for scheduler in schedulers]
    parts.append(('default_hooks.checkpoint', dict_at(cfg, 'default_hooks').get('checkpoint', {})))
    for key, part in parts:
        if part is None or part.get('convert_to_iter_based') or not part.get('by_epoch', True):
            continue
        raise InputError(f'{path}: {key} counts epochs, train_cfg iterations: set by_epoch=False')


def refuse_misspelling(name: str, names: Collection[str], where: str, cutoff: float) -> None:
    """Raise an InputError if a name closely resembles a known one."""
    if name not in names and (nearest := get_close_matches(name, names, 1, cutoff)):
        raise InputError(f'{where}: nothing reads {name}: did you mean {nearest[0]}?')


def check_option(cfg: Config, key: str) -> Any:
    """Return the value that an option overrides; None if there is none.

    The key begins with a top-level key of a run. Raises an InputError if the option has no effect:
    the key names an index that a list does not have, or a key that is ignored.
    """
    first, *rest = key.split('.')
    value: Any = cfg.get(first)
    path = first
    for word in rest:
        if isinstance(value, (list, tuple)):
            if not word.isdecimal() or int(word) >= len(value):
                raise InputError(f'--cfg-options {key}: {path} is a list of {len(value)}')
            value = value[int(word)]
        elif isinstance(value, dict) and word in value:
            value = value[word]
        else:
            names = PLAIN_KEYS.get(path) or PLAIN_KEYS.get(path.rpartition('.')[2])
            if names and word not in names:
                near = nearest_of(word, names)
                raise InputError(f'--cfg-options {key}: nothing reads {word}: {near}')
            return None
        path = f'{path}.{word}'
    return value


def nearest_of(name: str, names: Collection[str]) -> str:
    """Suggest the nearest name."""
    nearest = get_close_matches(name, names, 1)
    return f'did you mean {nearest[0]}?' if nearest else f'there is no {name} in a config'


def dict_at(cfg: Config, path: str) -> dict[str, Any]:
    """Return the dictionary at a dotted key; an empty one if there is none."""
    value: Any = cfg
    for key in path.split('.'):
        value = value.get(key) if hasattr(value, 'get') else None
    return value if isinstance(value, dict) else {}
