"""Fixtures to run the command line tools, in this process where possible."""

from __future__ import annotations

import runpy
import shutil
import sys
import traceback
from pathlib import Path

import pytest
from exports import checkpoint, exported  # noqa: F401, fixtures
from mmaction.visualization import ActionVisualizer
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from support import ROOT, TINY, write_video


@pytest.fixture
def tool(monkeypatch):
    """Run a script of tools/ in this process, on the CPU, as in a new process."""

    def run(script: str, *args: str) -> None:
        for manager in (DefaultScope, MMLogger, MessageHub, Visualizer, ActionVisualizer):
            manager._instance_dict.clear()
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        try:
            runpy.run_path(str(ROOT / 'tools' / script), run_name='__main__')
        finally:
            if DefaultScope.get_current_instance() is None:  # what other tests rely on
                init_default_scope('mmaction')

    return run


@pytest.fixture
def fails(tool):
    """Run a script that must fail, and return the line it fails with."""

    def run(script: str, *args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            tool(script, *args)
        end_loaders(stop.value)
        message = stop.value.code
        assert isinstance(message, str), 'exit status 1 and a message on standard error'
        assert message.startswith('error: ')
        assert '\n' not in message
        return message

    return run


def end_loaders(error: BaseException) -> None:
    """Release loaders that were being read; otherwise their workers end five seconds later."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


@pytest.fixture(scope='session')
def trained_dir(kinetics, tmp_path_factory):
    """Train for two epochs of two steps; return the work dir, which tests must not change."""
    work_dir = tmp_path_factory.mktemp('trained')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(kinetics)
        cfg = Config.fromfile(ROOT / 'configs/r2plus1d_18_kinetics.py')
        cfg.merge_from_dict(TINY)
        cfg.work_dir = str(work_dir)
        Runner.from_cfg(cfg).train()
    return work_dir


@pytest.fixture(scope='session')
def made(tmp_path_factory) -> list[Path]:
    """Make different videos of 10 frames."""
    folder = tmp_path_factory.mktemp('made')
    return [write_video(folder / f'{i}.mp4', 10, (32, 24), seed=i) for i in range(30)]


@pytest.fixture
def put(made, tmp_path):
    """Make different videos at these paths below ``my``."""
    left = iter(made)

    def put_all(*paths: str) -> None:
        for path in paths:
            (tmp_path / 'my' / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(next(left), tmp_path / 'my' / path)

    return put_all
