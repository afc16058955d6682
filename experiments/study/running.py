"""Train and test the runs of the study, several at a time."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from experiments.machine import processor_name
from r21d_plugin import accelerate, create_model
from r21d_plugin._atomic import atomic_write, write_json
from r21d_plugin._compat import process_cpu_count
from r21d_plugin._errors import InputError
from r21d_plugin.datasets.workers import worker_pool
from r21d_plugin.evaluation.scores import COUNTS

from .plan import LONG_CLIP, SHORT_CLIP, Run, Scale, runs, tuning_runs
from .results import Result, accuracies, accuracies_by_clips, best_rate, path_of, tuned_rates
from .training import Trainer, Videos, test
from .videos import ACTIONS, make_videos

FINETUNING_RATE = 0.2
"""Learning rate of finetuning, relative to that of training."""


def run_all(
    scale: Scale, out: Path, device: str, jobs: int, progress: Callable[[int], None]
) -> None:
    """Choose learning rates, then train and test; skip what an earlier call has finished.

    Args:
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.
        device (str): ``'cpu'`` or ``'cuda'``.
        jobs (int): Number of processes.
        progress (Callable): Called every few seconds with the number of finished runs.

    Raises:
        InputError: If the folder belongs to another study, or a process dies.
    """
    check_settings(scale, out)
    tuning, planned = tuning_runs(scale), runs(scale)
    run_groups(tuning, {}, scale, out, device, jobs, progress)
    rates = {network: best_rate(row) for network, row in tuned_rates(scale, out).items()}
    run_groups(planned, rates, scale, out, device, jobs, lambda n: progress(len(tuning) + n))


def check_settings(scale: Scale, out: Path) -> None:
    """Write the scale of a new study, or check that it is that of the existing one.

    Raises:
        InputError: If the folder belongs to a study of another scale.
    """
    path = out / 'settings.json'
    if not path.exists():
        write_json(path, scale._asdict(), parents=True)
    elif Scale.read(path) != scale:
        raise InputError(f'{path}: a study with other settings: give another folder with --out')


def run_groups(
    planned: Sequence[Run],
    rates: dict[str, float],
    scale: Scale,
    out: Path,
    device: str,
    jobs: int,
    progress: Callable[[int], None],
) -> None:
    """Do the runs of each seed and network, ``jobs`` such groups at a time."""
    groups: dict[tuple[int, str], list[Run]] = {}
    for run in planned:
        if not path_of(run, out).exists():
            groups.setdefault((run.seed, run.network), []).append(run)
    threads = max(1, process_cpu_count() // jobs)
    with worker_pool(jobs, 'spawn') as pool:
        pending = {
            pool.submit(run_group, group, rates, scale, out, device, threads)
            for group in groups.values()
        }
        try:
            while pending:
                finished, pending = wait(pending, 5, FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                progress(sum(path_of(run, out).exists() for run in planned))
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def run_group(
    group: Sequence[Run],
    rates: dict[str, float],
    scale: Scale,
    out: Path,
    device: str,
    threads: int,
) -> None:
    """Do runs of one seed, one after the other, on the same videos."""
    torch.set_num_threads(threads)
    seed, tuning = group[0].seed, group[0].rate is not None
    train = load_videos(scale.train, seed, 'train', device)
    held_out = load_videos(scale.test, seed, 'val' if tuning else 'test', device)
    study = SeedStudy(train, held_out, rates, scale, out, device)
    for run in group:
        study.do(run)


@lru_cache(maxsize=2)
def load_videos(count: int, seed: int, split: str, device: str) -> Videos:
    """Make videos on a device; a process keeps the last ones, as its next runs often need them."""
    frames, labels = make_videos(count, seed, split)
    return Videos(torch.from_numpy(frames).to(device), torch.from_numpy(labels).to(device))


@dataclass
class SeedStudy:
    """The runs of one seed.

    Attributes:
        train (Videos): The training videos.
        held_out (Videos): The test videos; in runs that choose a learning rate, other ones.
        rates (dict[str, float]): Learning rates by network.
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.
        device (str): ``'cpu'`` or ``'cuda'``.
    """

    train: Videos
    held_out: Videos
    rates: dict[str, float]
    scale: Scale
    out: Path
    device: str

    def do(self, run: Run) -> None:
        """Train and test a run, and write its result."""
        trainer, rate = self.trainer(run)
        seconds = self.train_or_resume(run, trainer)
        machine = describe_machine(self.device)
        result = Result(run.name, rate, trainer.errors, seconds, {}, {}, machine)
        for frames, clips, videos in tests_of(run, self.scale):
            subset = Videos(self.held_out.frames[:videos], self.held_out.labels[:videos])
            scores = test(trainer.model, subset, frames, clips)
            if clips == COUNTS[-1]:
                result.by_clips.update(accuracies_by_clips(scores))
            else:
                result.tests[str(frames)] = accuracies(scores)
        write_json(path_of(run, self.out), result._asdict(), parents=True)

    def trainer(self, run: Run) -> tuple[Trainer, float]:
        """Build a run's network and its training; return that and its learning rate."""
        if run.rate is None:
            rate, steps = self.rates[run.network], self.scale.steps
        else:
            rate, steps = run.rate, self.scale.tuning_steps
        torch.manual_seed(run.seed)
        model = create_model(
            run.network, len(ACTIONS), clip_len=run.frames, base_channels=self.scale.width
        )
        accelerate(model.to(self.device))  # it avoids wrong gradients of narrow convolutions, too
        if run.pretraining is not None:
            rate, steps = FINETUNING_RATE * rate, self.scale.finetuning_steps
            model.load_state_dict(self.weights_of(run.pretraining))
        batch_size = self.scale.batch_size
        trainer = Trainer(model, self.train, run.frames, batch_size, steps, rate, run.seed)
        return trainer, rate

    def weights_of(self, run: Run) -> dict[str, Any]:
        """Return the weights of a finished run; it is trained again if its state is gone."""
        trainer, _ = self.trainer(run)
        self.train_or_resume(run, trainer)
        return trainer.model.state_dict()

    def train_or_resume(self, run: Run, trainer: Trainer) -> float:
        """Train to the end; return the CPU time in seconds, with that before an interruption."""
        path, start, before = self.state_path(run), time.process_time(), 0.0
        if path.exists():
            state = torch.load(path, weights_only=True)
            before = state.pop('seconds')
            trainer.load_state_dict(state)

        def save(state: dict[str, Any]) -> None:
            with atomic_write(path, parents=True) as partial:
                torch.save(dict(state, seconds=before + time.process_time() - start), partial)

        trainer.run(save)
        return before + time.process_time() - start

    def state_path(self, run: Run) -> Path:
        """Return the path of the state of training."""
        return self.out / 'states' / f'{run.name}.pth'


def describe_machine(device: str) -> str:
    """Name what a run is trained on."""
    torch_version = f'PyTorch {torch.__version__}'
    if device == 'cuda':
        return f'{torch.cuda.get_device_name()}, {torch_version}'
    return f'{processor_name()}, {torch.get_num_threads()} thread, {torch_version}'


def tests_of(run: Run, scale: Scale) -> list[tuple[int, int, int]]:
    """List the tests of a run: frames per clip, clips per video and number of videos."""
    tests = [(run.frames, 10, scale.test)]
    if run.rate is None and run.network == 'r2plus1d_18' and run.source is None:
        if run.frames == SHORT_CLIP:
            tests.append((LONG_CLIP, 10, scale.test))
        else:
            tests.append((LONG_CLIP, COUNTS[-1], scale.many_clips))
    return tests
