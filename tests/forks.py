"""A stand-in for Python whose scripts run in forks of a process that has imported everything.

:func:`serve` starts that process, the server, and writes the program ``python``, which runs scripts
and ``-m module`` in forks that have its folder, environment and standard streams, and leaves the
rest to Python itself. ``sys.executable`` of a fork is the program again. A test that has to know
the process id of a fork uses :class:`Fork` instead of the program.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Process
from pathlib import Path

PROGRAM = """#!{python} -IS
import sys
sys.path.insert(0, {tests!r})
import forks
forks.be_python({python!r}, {program!r})
"""


@contextmanager
def serve(folder: Path, python: str | Path = sys.executable) -> Iterator[Path]:
    """Write ``folder/python``, a stand-in for an environment's Python, within the block."""
    program = folder / 'python'
    tests = str(Path(__file__).parent)
    text = PROGRAM.format(python=str(python), tests=tests, program=str(program))
    write_program(program, text)
    with subprocess.Popen(
        [python, '-W', 'ignore', __file__, program],
        env=dict(os.environ, OMP_NUM_THREADS='1'),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout.readline(), 'the server did not start'
        yield program
        server.terminate()


def write_program(path: Path, text: str) -> None:
    """Write an executable file."""
    path.write_text(text)
    path.chmod(0o755)


def write_script(program: Path, name: str, module: str, function: str) -> Path:
    """Write a console script beside a Python program, as pip would."""
    script = program.with_name(name)
    write_program(script, f'#!{program}\nfrom {module} import {function}\n{function}()\n')
    return script


def address_of(program: str | Path) -> str:
    """Return the socket of the server of a program."""
    return str(Path(program).with_name('socket'))


class Fork:
    """A script in a fork, which ends when this object goes.

    Args:
        program (Path): What :func:`serve` gave.
        words (Sequence): The script, or ``-m`` and the module, and its arguments.
        log (Path, optional): File for what it prints. Defaults to the streams of this process.
        folder (Path, optional): Its working folder. Defaults to that of this process.

    Attributes:
        pid (int): Its process id.
    """

    def __init__(
        self,
        program: str | Path,
        words: Sequence[object],
        log: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(address_of(program))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if log else None
        streams = [0, 1, 2] if output is None else [0, output, output]
        socket.send_fds(self.server, [b'.'], streams)
        if output is not None:
            os.close(output)
        request = dict(words=[str(word) for word in words], folder=str(folder or os.getcwd()))
        request['environment'] = dict(os.environ)
        self.server.sendall(json.dumps(request).encode() + b'\n')
        self.answers = self.server.makefile()
        self.pid = int(self.answers.readline())

    def has_ended(self) -> bool:
        """Whether :meth:`wait` returns at once."""
        return bool(select.select([self.server], [], [], 0)[0])

    def wait(self) -> int:
        """Return its exit status, negative if a signal ended it."""
        return int(self.answers.readline())


def be_python(python: str, program: str) -> None:
    """Act as the program ``python``."""
    words = sys.argv[1:]
    while words[:1] in (['-u'], ['-W']):
        words = words[1 if words[0] == '-u' else 2 :]
    if not words or (words[0].startswith('-') and words[0] != '-m'):
        os.execv(python, [python, *sys.argv[1:]])
    fork = Fork(program, words)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(fork.pid, number))
    status = fork.wait()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def answer_requests(address: str) -> None:
    """Run the requests of clients until standard input ends."""
    running: dict[int, tuple[Process, socket.socket]] = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print('ready', flush=True)
        while True:
            clients = {client: process for process, client in running.values()}
            ready = select.select([sys.stdin, listener, *running, *clients], [], [])[0]
            if sys.stdin in ready:
                return
            if listener in ready:
                client = listener.accept()[0]
                process = begin(client)
                running[os.pidfd_open(process.pid)] = process, client
            for ended in running.keys() & set(ready):
                process, client = running.pop(ended)
                process.join()
                os.close(ended)
                with client, suppress(BrokenPipeError):
                    client.sendall(f'{process.exitcode}\n'.encode())
                clients.pop(client)
            for gone in clients.keys() & set(ready):
                clients[gone].kill()


def begin(client: socket.socket) -> Process:
    """Fork as a client asks, and tell it the process id."""
    streams = socket.recv_fds(client, 1, 3)[1]
    process = Process(target=run, args=(streams,), kwargs=json.loads(client.makefile().readline()))
    process.start()
    for stream in streams:
        os.close(stream)
    client.sendall(f'{process.pid}\n'.encode())
    return process


def run(streams: list[int], words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run a script or module, as Python does."""
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if words[0] == '-m':
        sys.argv = words[1:]
        sys.path[0] = folder
        runpy.run_module(words[1], run_name='__main__', alter_sys=True)
    else:
        sys.argv = words
        sys.path[0] = os.path.dirname(words[0])
        runpy.run_path(words[0], run_name='__main__')


def import_everything() -> None:
    """Import what scripts need, which takes seconds."""
    import mim.cli  # noqa: F401
    import torch
    from mmengine.config import config

    from r21d_plugin.cli import launch  # noqa: F401

    torch.set_num_threads(1)
    config.FormatCode = lambda code, **_: (code, True)  # half of the time of a tiny run


if __name__ == '__main__':
    sys.executable = sys.argv[1]
    import_everything()
    gc.freeze()  # or a collection in a fork would copy all memory
    answer_requests(address_of(sys.argv[1]))
