"""Resume training with the learning rate and schedule of the config.

MMEngine would restore both from the checkpoint and ignore the config.
"""

from __future__ import annotations

import warnings
from typing import Any, Dict

from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from .._errors import InputError

Group = Dict[str, Any]


def configured_values(optim_wrapper: OptimWrapper) -> list[Group]:
    """Return the config's settings of each parameter group, before any schedule."""
    groups = optim_wrapper.param_groups
    if not isinstance(groups, list):  # several optimizers: keep MMEngine's behaviour
        return []
    return [
        {key: group.get(f'initial_{key}', value) for key, value in group.items() if key != 'params'}
        for group in groups
    ]


def apply_configured(runner: Runner, configured: list[Group], filename: str) -> None:
    """Set the optimizer of a resumed run to the config's values, and replay the config's schedule.

    Differences from the checkpoint are logged. A schedule that depends on validation results cannot
    be replayed: the checkpoint's schedule is kept, which is logged too.
    """
    if not configured:
        return
    schedulers = runner.param_schedulers or []
    if any(getattr(scheduler, 'need_val_args', False) for scheduler in schedulers):
        runner.logger.warning(f'learning rate and schedule are those of {filename}')
        return
    groups = runner.optim_wrapper.param_groups
    resumed = [dict(group) for group in groups]
    for group, values in zip(groups, configured):
        group.update(values)
    if schedulers:
        runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
        replay(runner)
    for key, (value, old) in differences(resumed, groups).items():
        runner.logger.warning(f'resumed with {key}={value} of the config; {filename} has {old}')


def refuse_other_optimizer(saved: list[Group], configured: list[Group]) -> None:
    """Raise an InputError if the settings of a checkpoint's optimizer are not the config's."""
    for group, values in zip(saved, configured):
        known = {key for key in group if key != 'params' and not key.startswith('initial_')}
        unknown, missing = known - set(values), set(values) - set(group)
        if unknown and missing - {'initial_lr'}:
            raise InputError(
                f'its optimizer has {", ".join(sorted(unknown))}, that of the config '
                f'{", ".join(sorted(missing))}: resume with the same optimizer, or start over from '
                'its weights (load_from)'
            )


def follow_seed(runner: Runner) -> None:
    """Set the sampler's seed to the checkpoint's, which MMEngine has taken for all else."""
    sampler: Any = runner.train_dataloader.sampler
    given = runner.cfg.train_dataloader.get('sampler') or {}
    different = (runner.cfg.get('randomness') or {}).get('diff_rank_seed')
    if hasattr(sampler, 'seed') and 'seed' not in given and not different:
        sampler.seed = runner.seed


def replay(runner: Runner) -> None:
    """Step the schedules as often as training has done so far."""
    in_epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
    epochs = runner.epoch if in_epochs else 1
    # With other processes or another batch size, the checkpoint's epochs had another length.
    steps = len(runner.train_dataloader) if in_epochs else runner.iter
    by_epoch = [s for s in runner.param_schedulers if s.by_epoch]
    by_iter = [s for s in runner.param_schedulers if not s.by_epoch]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the optimizer has not stepped yet
        for _ in range(epochs):
            for _ in range(steps):
                for scheduler in by_iter:
                    scheduler.step()
            for scheduler in by_epoch if in_epochs else ():
                scheduler.step()


def differences(resumed: list[Group], groups: list[Group]) -> dict[str, tuple[Any, Any]]:
    """Return config and checkpoint values of each differing setting, for its first group."""
    found: dict[str, tuple[Any, Any]] = {}
    for old, new in zip(resumed, groups):
        for key in old.keys() & new.keys():
            if key != 'params' and not key.startswith('initial_') and old[key] != new[key]:
                found.setdefault(key, (new[key], old[key]))
    return found
