"""A process of a job, or a worker of a dataloader, that dies: told at once, in one line."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support import OPTIONS, ROOT, shell

from r21d_plugin import InputError
from r21d_plugin.engine import launch

BIN = Path(sys.executable).parent
CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
ENDLESS = 'train_cfg.max_epochs=10000'
TORCHRUN = [sys.executable, '-W', 'ignore', '-m', 'torch.distributed.run']
SOON_S = 60
"""Time for what takes seconds on a machine that is not overloaded."""


class Job:
    """A command in a session of its own, whose processes are known by their ranks."""

    def __init__(self, command, folder: Path, **env: str) -> None:
        self.log = folder / f'log{len(list(folder.glob("log*")))}'
        self.process = subprocess.Popen(
            [str(word) for word in command],
            env=os.environ | dict(OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore') | env,
            stdout=self.log.open('w'),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, path: Path) -> None:
        """Wait for a file that the job writes."""
        while not path.exists():
            assert self.process.poll() is None, self.out()
            time.sleep(0.05)

    def pid(self, rank: int) -> int:
        """Process id of a rank that torchrun has started, in a session of its own."""
        for folder in Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                words = (folder / 'environ').read_text().split('\0')
                if f'RANK={rank}' in words and parent(folder) in self.agents():
                    return int(folder.name)
        raise LookupError(rank)

    def agents(self) -> set[int]:
        """Processes of the session, torchrun's agent among them."""
        pids = [int(folder.name) for folder in Path('/proc').glob('[0-9]*')]
        return {pid for pid in pids if session(pid) == self.process.pid}

    def wait(self) -> int:
        """Exit status."""
        return self.process.wait(SOON_S)

    def out(self) -> str:
        return self.log.read_text()

    def end(self) -> None:
        """Leave no process behind; torchrun ends those that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(SOON_S)


def parent(folder: Path) -> int:
    """Parent of a process in /proc."""
    return int((folder / 'stat').read_text().rpartition(')')[2].split()[1])


def session(pid: int) -> int | None:
    """Its session, unless it has just ended."""
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return None


@pytest.fixture
def start(in_kinetics, tmp_path):
    """Start jobs that end with the test."""
    jobs = []

    def start_one(*command, **env) -> Job:
        jobs.append(Job(command, tmp_path, **env))
        return jobs[-1]

    yield start_one
    for job in jobs:
        job.end()


def training(work_dir, *options):
    arguments = [CONFIG, '--device', 'cpu', '--work-dir', work_dir, *OPTIONS]
    return [ROOT / 'tools/train.py', *arguments, 'train_dataloader.batch_size=2', *options]


def free_port() -> int:
    """A port that nothing listens to."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def launched(start, work_dir, world_size, config=CONFIG):
    """One job a rank, as mpirun starts them."""
    env = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()))
    for rank in range(world_size):
        numbers = dict(SIZE=world_size, RANK=rank, LOCAL_SIZE=world_size, LOCAL_RANK=rank)
        mpi = {f'OMPI_COMM_WORLD_{key}': str(value) for key, value in numbers.items()}
        script, _, *arguments = training(work_dir, ENDLESS)
        arguments = [config, *arguments]
        yield start(sys.executable, script, '--launcher', 'mpi', *arguments, **env, **mpi)


@pytest.mark.parametrize(('world_size', 'rank'), [(2, 0), (2, 1), (4, 2)])
def test_a_killed_process_ends_the_job_and_is_named(start, tmp_path, fault, world_size, rank):
    """Where the launcher does not end the others."""
    jobs = list(launched(start, tmp_path / 'run', world_size))
    jobs[0].wait_for(tmp_path / 'run/last_checkpoint')
    with fault('kill -9 of one process of a job'):
        killed = jobs.pop(rank)
        os.kill(killed.process.pid, signal.SIGKILL)
        assert_named(killed, rank, jobs)


def assert_named(killed: Job, rank: int, others: list[Job]) -> None:
    assert [job.wait() for job in others] == [1] * len(others), others[0].out()[-3000:]
    told = [line for job in others for line in job.out().splitlines() if 'error: ' in line]
    assert told == [
        f'error: rank {rank} (process {killed.process.pid} on {socket.gethostname()}) died or '
        'was killed, perhaps for lack of memory: the others stop; training goes on with --resume'
    ]
    assert not any('Traceback' in job.out() for job in others)


DYING = f"""
_base_ = ['{CONFIG}']
import os, signal
import mmengine.runner

if os.environ['OMPI_COMM_WORLD_RANK'] == '1':
    mmengine.runner.Runner.build_model = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_dies_before_it_trains_is_named(start, tmp_path, fault):
    config = tmp_path / 'dying.py'
    config.write_text(DYING)
    with fault('kill -9 of one process of a job'):
        survivor, killed = launched(start, tmp_path / 'run', 2, config)
        assert_named(killed, 1, [survivor])


def test_an_error_of_one_process_is_told_once(start, tmp_path, fault):
    """The others have nothing to add to it."""
    jobs = list(launched(start, tmp_path / 'run', 2))
    jobs[0].wait_for(tmp_path / 'run/last_checkpoint')
    with fault('kill -9 of a worker of a dataloader'):
        kill_a_worker(jobs[1].process.pid)
        assert [job.wait() for job in jobs] == [1, 1]
        assert 'error: ' not in jobs[0].out()
        assert_worker_named(jobs[1])


def mim(processes):
    return [BIN / 'mim', 'train', 'r21d_plugin'], ['--launcher', 'pytorch', '--gpus', processes]


def torchrun(processes):
    script = ROOT / 'tools/train.py'
    command = [*TORCHRUN, '--standalone', f'--nproc-per-node={processes}', script]
    return command, ['--launcher', 'pytorch']


@pytest.mark.parametrize(('launcher', 'processes'), [(mim, 2), (torchrun, 4)])
def test_torchrun_names_a_killed_process(start, tmp_path, fault, launcher, processes):
    command, options = launcher(processes)
    _, config, *arguments = training(tmp_path / 'run', ENDLESS)
    job = start(*command, config, *options, *arguments)
    job.wait_for(tmp_path / 'run/last_checkpoint')
    with fault('kill -9 of one process of a job'):
        os.kill(job.pid(1), signal.SIGKILL)
        assert job.wait() == 1
        assert 'exitcode: -9) local_rank: 1' in job.out()


SIX_EPOCHS = 'train_cfg.max_epochs=6'


@pytest.fixture(scope='module')
def unbroken(kinetics, tmp_path_factory) -> dict:
    """Weights of a run by two processes that nothing happens to."""
    folder = tmp_path_factory.mktemp('unbroken')
    command, options = torchrun(2)
    _, config, *arguments = training(folder, SIX_EPOCHS)
    shell(*command, config, *options, *arguments, cwd=kinetics)
    return torch.load(folder / 'epoch_6.pth', weights_only=True)['state_dict']


def one_node(port):
    return [['--standalone', '--nproc-per-node=2']]


def two_nodes(port):
    nodes = ['--nnodes=2', '--nproc-per-node=1']
    by_address = ['--master-addr=127.0.0.1', f'--master-port={port}']
    return [[*nodes, f'--node-rank={rank}', *by_address] for rank in range(2)]


def two_nodes_by_rendezvous(port):
    place = ['--rdzv-backend=c10d', f'--rdzv-endpoint=127.0.0.1:{port}', '--rdzv-id=job']
    return [['--nnodes=2', '--nproc-per-node=1', *place]] * 2


@pytest.mark.parametrize('nodes', [one_node, two_nodes, two_nodes_by_rendezvous])
def test_torchrun_restarts_from_the_last_checkpoint(start, tmp_path, unbroken, fault, nodes):
    """And ends with the weights of the run that nothing happened to."""
    work_dir = tmp_path / 'run'
    script, config, *arguments = training(work_dir, SIX_EPOCHS)
    command = [script, config, '--launcher', 'pytorch', *arguments]
    jobs = [start(*TORCHRUN, *node, '--max-restarts=1', *command) for node in nodes(free_port())]
    jobs[0].wait_for(work_dir / 'epoch_2.pth')
    with fault('kill -9 under torchrun'):
        os.kill(find(jobs, rank=1), signal.SIGKILL)
        for job in jobs:
            assert job.process.wait(2 * SOON_S) == 0, job.out()[-3000:]
        assert any('resumed epoch: ' in job.out() for job in jobs)
        weights = torch.load(work_dir / 'epoch_6.pth', weights_only=True)['state_dict']
        for key, value in unbroken.items():
            assert torch.equal(weights[key], value), key


def find(jobs: list[Job], rank: int) -> int:
    """Process id of a rank that one of several agents has started."""
    for job in jobs:
        with contextlib.suppress(LookupError):
            return job.pid(rank)
    raise LookupError(rank)


def test_restarts_do_not_take_another_runs_checkpoints(tmp_path, monkeypatch):
    runner = SimpleNamespace(work_dir=str(tmp_path))
    (tmp_path / 'epoch_3.pth').touch()
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '0')
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '3')
    with pytest.raises(InputError, match='holds checkpoints of another run'):
        launch.resume(runner)


def kill_a_worker(pid: int) -> None:
    """Kill a worker of a process's dataloader, whenever there is one."""
    children = Path(f'/proc/{pid}/task/{pid}/children')
    deadline = time.monotonic() + SOON_S
    while not (workers := children.read_text().split()):
        assert time.monotonic() < deadline
    os.kill(int(workers[0]), signal.SIGKILL)


def assert_worker_named(job: Job) -> None:
    line = job.out().splitlines()[-1]
    assert re.fullmatch(
        r'error: DataLoader worker \(pid(\(s\))? \d+\) (is killed by signal: Killed|exited '
        'unexpectedly), perhaps for lack of memory: lower num_workers or batch_size of the '
        'dataloader; training goes on with --resume',
        line,
    )
    assert 'Traceback' not in job.out()


def test_a_killed_worker_is_named(start, tmp_path, fault):
    job = start(sys.executable, *training(tmp_path / 'run', ENDLESS))
    job.wait_for(tmp_path / 'run/last_checkpoint')
    with fault('kill -9 of a worker of a dataloader'):
        kill_a_worker(job.process.pid)
        assert job.wait() == 1
        assert_worker_named(job)


KILLED = """
import os, signal, time
if os.environ['RANK'] == '1':
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
"""


def test_a_process_of_several_gpus_that_is_killed(start, tmp_path, fault):
    """What --gpus 2 starts, with a script that needs no GPU."""
    (tmp_path / 'killed.py').write_text(KILLED)
    code = f"""
import sys
from r21d_plugin.engine import launch
sys.argv = [{str(tmp_path / 'killed.py')!r}]
sys.exit(launch.run_on_gpus(2))
"""
    with fault('kill -9 of one process of a job'):
        job = start(sys.executable, '-c', code)
        assert job.wait() == 1
        line = job.out().splitlines()[-1]
        assert line.startswith('error: rank 1 (process ')
        assert line.endswith(') got SIGKILL')
        assert 'Traceback' not in job.out()
