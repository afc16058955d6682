"""Train and test all runs of the study, several at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from r21d_plugin._atomic import atomic_write
from r21d_plugin._errors import InputError

from .plan import Run, Scale, Test, checkpoint, config, tests_of

TOOLS = Path(__file__).parents[2] / 'tools'

Progress = Callable[[Run, int], None]
"""Callback with a run and its number of finished epochs; called by several threads."""


def run_all(
    planned: list[Run], scale: Scale, out: Path, device: str, jobs: int, progress: Progress
) -> None:
    """Train and test runs; skip what an earlier call has finished.

    Args:
        planned (list[Run]): The runs; a run comes after the run that it starts from.
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.
        device (str): ``'cpu'`` or ``'cuda'``.
        jobs (int): Number of parallel runs.
        progress (Callable): Called after every finished epoch.

    Raises:
        InputError: If a run fails, or the folder belongs to another study.
    """
    futures: dict[Run, Future] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for run in planned:
                job = Job(run, scale, out, device, jobs)
                futures[run] = pool.submit(job.run, progress, futures.get(run.pretraining or run))
            finished, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
        finally:  # also after an interrupt
            pool.shutdown(cancel_futures=True)
    for future in finished:
        future.result()


class Job:
    """A run and its tests, each executed by the command for users.

    Args:
        run (Run): The run.
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.
        device (str): ``'cpu'`` or ``'cuda'``.
        jobs (int): Number of parallel runs, which share the cores.
    """

    def __init__(self, run: Run, scale: Scale, out: Path, device: str, jobs: int) -> None:
        self.planned = run
        self.scale = scale
        self.out = out
        self.folder = out / run.name
        self.device = device
        self.threads = max(1, (os.cpu_count() or 1) // jobs)

    def run(self, progress: Progress, pretraining: Future | None) -> None:
        """Train, then test.

        Raises:
            InputError: If one fails.
        """
        if pretraining is not None:
            pretraining.result()
        trained = checkpoint(self.planned, self.scale, self.out)
        path = self.write_config(self.planned)
        if not trained.exists():
            arguments = (path, '--resume', '--work-dir', self.folder)
            self.call('train.py', *arguments, epoch=lambda epoch: progress(self.planned, epoch))
        for test in tests_of(self.planned):
            self.test(test, trained)
        progress(self.planned, int(trained.stem[len('epoch_') :]))

    def test(self, test: Test, trained: Path) -> None:
        """Test, unless the scores exist."""
        scores = self.out / test.scores
        if scores.exists():
            return
        tested = self.planned._replace(frames=test.frames)
        path = self.write_config(tested)
        with atomic_write(scores) as partial:
            options = [
                '--cfg-options',
                f'test_dataloader.dataset.pipeline.1.num_clips={test.clips}',
            ]
            if test.videos > 0:
                options.append(f'test_dataloader.dataset.indices={test.videos}')
            work_dir = ('--work-dir', self.folder / 'tests')
            self.call('test.py', path, trained, '--dump', partial, *work_dir, *options)

    def write_config(self, run: Run) -> Path:
        """Write the config of a run, or check that the existing one is equal.

        It is not in the work dir, where MMEngine writes a config with the same name.

        Raises:
            InputError: If a different config exists.
        """
        name = self.planned.name
        if run != self.planned:
            name += f'_on_{run.frames}f'
        path, content = self.out / 'configs' / f'{name}.py', config(run, self.scale, self.out)
        if not path.exists():
            with atomic_write(path, parents=True) as partial:
                partial.write_text(content)
        elif path.read_text() != content:
            raise InputError(
                f'{path}: differs from the config that this study writes: give it another folder '
                'with --out, or remove this one'
            )
        return path

    def call(
        self, script: str, *arguments: object, epoch: Callable[[int], None] = lambda _: None
    ) -> None:
        """Run a script and log its output.

        Raises:
            InputError: If it fails.
        """
        command = [sys.executable, TOOLS / script, *arguments, '--device', self.device]
        log = self.folder / f'{Path(script).stem}.log'
        self.folder.mkdir(exist_ok=True)
        streams: dict = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        env = dict(os.environ, OMP_NUM_THREADS=str(self.threads))
        words = [str(word) for word in command]
        with log.open('a') as file, subprocess.Popen(words, env=env, **streams) as process:
            for line in process.stdout or ():
                file.write(line)
                _, saved, rest = line.partition('Saving checkpoint at ')
                if saved:
                    epoch(int(rest.split()[0]))
        if process.returncode:
            raise InputError(f'{log}: {script} failed: {line.strip()}')
