"""Summary of a run, shown on the screen before it begins."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from .._compat_torch import untried
from ..datasets import inner_datasets

MOST_LINES = 12


class ShortFormatter(logging.Formatter):
    """Formatter that shortens long records of another formatter to the title and the log file."""

    def __init__(self, formatter: logging.Formatter, log_file: str) -> None:
        super().__init__()
        self.formatter, self.log_file = formatter, log_file

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        text = self.formatter.format(record)
        lines = text.split('\n')
        if len(lines) <= MOST_LINES or record.levelno > logging.INFO:
            return text
        title = next((line for line in lines[1:] if line.strip('- ')), '')
        title = lines[0] if lines[0].endswith(':') else f'{lines[0]}{title}'
        return f'{title} {len(lines)} lines in {self.log_file}'


def summarize(runner: Runner) -> str:
    """Summarise the network, data and settings of a run, one line each."""
    cfg = runner.cfg
    model = getattr(runner.model, 'module', runner.model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    backbone = cfg.model.get('backbone') or cfg.model
    settings = [f'{key}={backbone[key]}' for key in ('depth', 'midplanes') if key in backbone]
    rows = {
        'network': ', '.join([str(backbone.get('type')), *settings, f'{parameters / 1e6:.1f}M']),
        'classes': (cfg.model.get('cls_head') or {}).get('num_classes'),
        'weights': cfg.get('load_from'),
    }
    if cfg.get('optim_wrapper') is not None:
        rows.update(training_rows(cfg, runner.world_size))
    rows.update({'test': list_of(cfg.get('test_dataloader')), 'work dir': cfg.work_dir})
    rows['untried'] = untried()
    lines = [f'  {name:12}{value}' for name, value in rows.items() if value is not None]
    return '\n'.join(['Summary:', *lines])


def training_rows(cfg: Config, processes: int) -> dict[str, Any]:
    """Describe data, clips per step, optimizer and length of a training."""
    optimizer = cfg.optim_wrapper.get('optimizer') or {}
    accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
    batch = f'{cfg.train_dataloader.get("batch_size")} clips x {processes} processes'
    length = [
        f'{value} {key[4:]}' for key, value in cfg.train_cfg.items() if key.startswith('max_')
    ]
    return {
        'training': list_of(cfg.train_dataloader),
        'validation': list_of(cfg.get('val_dataloader')),
        'step': batch if accumulated == 1 else f'{batch} x {accumulated} batches',
        'optimizer': f'{optimizer.get("type")}, lr={optimizer.get("lr")}',
        'length': ', '.join(length),
    }


def list_of(dataloader: Any) -> str | None:
    """Return the annotation files of a dataloader's dataset, also if wrapped; None if none."""
    datasets = inner_datasets((dataloader or {}).get('dataset') or {})
    files = [dataset.get('ann_file') for dataset in datasets if isinstance(dataset, dict)]
    return ', '.join(filter(None, files)) or None
