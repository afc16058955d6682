"""MMEngine's runner for our commands, with one-line errors and options that take effect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ..engine import check_model
from .config_check import check_run
from .explain import errors_of
from .resume import apply_configured, configured_values, follow_seed, refuse_other_optimizer
from .summary import ShortFormatter, summarize

HOOKS = dict(
    accelerate=dict(type='r21d_plugin.AccelerateHook'),
    checkpoint_match=dict(type='r21d_plugin.CheckpointMatchHook'),
    task=dict(type='r21d_plugin.TaskHook'),
    finite_loss=dict(type='r21d_plugin.FiniteLossHook'),
    skipped_videos=dict(type='r21d_plugin.SkippedVideosHook'),
)
"""Default hooks of our commands, for any config; a config disables one by None."""

MMENGINE_HOOKS = 'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'


class CommandRunner(Runner):
    """The runner of ``tools/train.py`` and ``tools/test.py``.

    Errors in a config are InputErrors that name the key. The learning rate is scaled by the number
    of clips per step, including accumulated ones. A resumed run uses the learning rate and schedule
    of its config. The screen shows a summary of the config; the log file has the whole config.
    """

    mode = 'train'  # mode whose dataloader and evaluator are being built

    @classmethod
    def from_cfg(cls, cfg: Config) -> CommandRunner:
        """Build the runner of a config; raise an InputError that names the invalid key."""
        check_run(cfg, str(cfg.filename or 'config'))
        with errors_of(cfg):
            runner: CommandRunner = super().from_cfg(cfg)
            check_model(runner.model, cfg)
        runner.logger.info(summarize(runner))
        return runner

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger; the screen shows only the titles of long records."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler) and handler.formatter:
                handler.setFormatter(ShortFormatter(handler.formatter, self.log_dir))
        return logger

    def build_model(self, model: Any) -> nn.Module:
        """Build the model."""
        with errors_of(self.cfg, 'model'):
            return super().build_model(model)

    def build_dataloader(  # type: ignore[override]
        self, dataloader: Any, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader[Any]:
        """Build a dataloader; with 0 workers, omit options that need workers."""
        if isinstance(dataloader, dict):
            dataloader = dict(dataloader)
            for key in ('persistent_workers', 'prefetch_factor'):
                if dataloader.get('num_workers', 0) == 0:
                    dataloader.pop(key, None)
            # MMEngine adds the scope of a base config to all dicts, and passes it to the function.
            dataloader.get('collate_fn', {}).pop('_scope_', None)
        with errors_of(self.cfg, f'{self.mode}_dataloader'):
            return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        """Build an evaluator."""
        with errors_of(self.cfg, f'{self.mode}_evaluator'):
            return super().build_evaluator(evaluator)

    def build_train_loop(self, loop: Any) -> BaseLoop:
        """Build the training loop with its dataloader."""
        return self._build_loop('train', loop)

    def build_val_loop(self, loop: Any) -> BaseLoop:
        """Build the validation loop with its dataloader and evaluator."""
        return self._build_loop('val', loop)

    def build_test_loop(self, loop: Any) -> BaseLoop:
        """Build the test loop with its dataloader and evaluator."""
        return self._build_loop('test', loop)

    def _build_loop(self, mode: str, loop: Any) -> BaseLoop:
        self.mode = mode
        build: Callable[[Any], BaseLoop] = getattr(super(), f'build_{mode}_loop')
        with errors_of(self.cfg, f'{mode}_cfg'):
            return build(loop)

    def build_optim_wrapper(self, optim_wrapper: Any) -> OptimWrapper:
        """Build the optimizer and its wrapper."""
        with errors_of(self.cfg, 'optim_wrapper'):
            check_optimizer(optim_wrapper)
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> list[Any] | dict[str, Any]:
        """Build the parameter schedulers."""
        with errors_of(self.cfg, 'param_scheduler'):
            return super().build_param_scheduler(scheduler)

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        """Register the config's default hooks, and ours unless the config names them."""
        hooks = {**HOOKS, **(hooks or {})}
        # MMEngine accepts None only for its own hooks.
        kept = {name: hook for name, hook in hooks.items() if hook or name in MMENGINE_HOOKS}
        with errors_of(self.cfg, 'default_hooks'):
            super().register_default_hooks(kept)

    def register_custom_hooks(self, hooks: list[Any]) -> None:
        """Register the config's custom hooks."""
        with errors_of(self.cfg, 'custom_hooks'):
            super().register_custom_hooks(hooks)

    def scale_lr(
        self, optim_wrapper: OptimWrapper, auto_scale_lr: dict[str, Any] | None = None
    ) -> None:
        """Scale the learning rate by the clips per step over ``base_batch_size``.

        Clips per step are the batch size times processes times ``accumulative_counts``. The factor
        becomes ``optim_wrapper.lr_factor``, for :class:`~r21d_plugin.engine.GradualWarmupLR`.
        """
        if auto_scale_lr and auto_scale_lr.get('enable'):
            with errors_of(self.cfg, 'auto_scale_lr'):
                count = self.cfg.optim_wrapper.get('accumulative_counts', 1)
                base = auto_scale_lr['base_batch_size'] / count
                if count > 1:
                    self.logger.info(f'Gradients of {count} batches make a step.')
                super().scale_lr(optim_wrapper, dict(enable=True, base_batch_size=base))
                clips = self.world_size * (self.train_dataloader.batch_size or 1)
                optim_wrapper.lr_factor = clips / base  # type: ignore[attr-defined]

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load a checkpoint; when resuming, raise an InputError for another optimizer."""
        checkpoint = super().load_checkpoint(filename, *args, **kwargs)
        if self.cfg.get('resume') and isinstance(self.optim_wrapper, OptimWrapper):
            saved = checkpoint.get('optimizer', {}).get('param_groups', [])
            refuse_other_optimizer(saved, configured_values(self.optim_wrapper))
        return checkpoint

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Resume from a checkpoint, with the learning rate and schedule of the config."""
        configured = configured_values(self.optim_wrapper)
        with errors_of(self.cfg, f'cannot resume from {filename}'):
            super().resume(filename, *args, **kwargs)
            follow_seed(self)
            apply_configured(self, configured, filename)


def check_optimizer(optim_wrapper: Any) -> None:
    """Raise a KeyError if the optimizer is not registered; MMEngine would continue with None."""
    optimizer = optim_wrapper.get('optimizer') if isinstance(optim_wrapper, dict) else None
    name = (optimizer or {}).get('type')
    if not isinstance(name, str):
        return
    with OPTIMIZERS.switch_scope_and_registry(None) as registry:
        if registry.get(name) is None:
            raise KeyError(f'{name} is not in the mmengine::optimizer registry')
