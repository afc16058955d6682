"""The command line tools, in this process where nothing speaks against it."""

import runpy
import sys
import traceback

import pytest
from mmaction.visualization import ActionVisualizer
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from support import ROOT, TINY


@pytest.fixture
def tool(monkeypatch):
    """Run a script of tools/ in this process, on the CPU, as if nothing ran in it before."""

    def run(script: str, *args: str) -> None:
        for manager in (DefaultScope, MMLogger, MessageHub, Visualizer, ActionVisualizer):
            manager._instance_dict.clear()
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        runpy.run_path(str(ROOT / 'tools' / script), run_name='__main__')

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
    """Let go of loaders that were being read, whose workers else end five seconds late."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


@pytest.fixture(scope='session')
def trained_dir(kinetics, tmp_path_factory):
    """The work dir of a training of two epochs of two steps; tests leave it as it is."""
    work_dir = tmp_path_factory.mktemp('trained')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(kinetics)
        cfg = Config.fromfile(ROOT / 'configs/r2plus1d_18_kinetics.py')
        cfg.merge_from_dict(TINY)
        cfg.work_dir = str(work_dir)
        Runner.from_cfg(cfg).train()
    return work_dir
