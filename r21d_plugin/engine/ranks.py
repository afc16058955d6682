"""Processes of a job that notice when one of them is gone.

What they wait for in a collective operation never comes then, and neither the
operation nor a launcher says whose fault it is. So each of them keeps a
connection to rank 0, which the kernel closes when a process ends, however it
does. Nothing is polled and nothing times out.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import NoReturn

from mmengine.dist import broadcast_object_list, get_dist_info

DONE, FAILED = b'done', b'failed'
GRACE_S = 2
"""Time in which a launcher sees who died first, and an error who caused it."""


@contextmanager
def watched_ranks() -> Iterator[None]:
    """End all processes of the job when one ends before the block does.

    One line then names its rank, unless it raised an error, which it has told
    itself.
    """
    rank, world_size = get_dist_info()
    if world_size == 1:
        yield
        return
    watch = Watch(rank, world_size)
    try:
        yield
    except RuntimeError:
        watch.thread.join(GRACE_S)  # in it, the process ends if another's death is the cause
        watch.leave(FAILED)
        raise
    except BaseException:
        watch.leave(FAILED)
        raise
    watch.leave(DONE)


class Watch:
    """Connections of this process to the others: of rank 0 to all, of these to rank 0.

    Args:
        rank (int): Rank of this process.
        world_size (int): Number of processes.
    """

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank = rank
        self.names: dict[Connection, str] = {}
        self.left = False
        address: list = [None]
        if rank == 0:
            key = os.urandom(16)
            listener = Listener(('', 0), backlog=world_size, authkey=key)
            address = [(listener.address[1], key, process_name(0))]
        broadcast_object_list(address)
        port, key, name = address[0]
        if rank == 0:
            for _ in range(world_size - 1):
                connection = listener.accept()
                self.names[connection] = connection.recv_bytes().decode()
            listener.close()
        else:
            connection = Client((os.environ['MASTER_ADDR'], port), authkey=key)
            connection.send_bytes(process_name(rank).encode())
            self.names[connection] = name
        # A worker of a dataloader would keep them open when this process is gone.
        os.register_at_fork(after_in_child=self.close)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Wait until all others are done, or stop this process when one is gone."""
        remaining = set(self.names)
        while remaining:
            for connection in remaining.intersection(wait(list(remaining))):
                remaining.remove(connection)
                try:
                    news = connection.recv_bytes()
                except (EOFError, OSError):
                    news = b''
                if news != DONE and not self.left:
                    self.stop(connection, told=news == FAILED)

    def stop(self, gone: Connection, told: bool) -> NoReturn:
        """End this process, and through rank 0 all others, because one is gone."""
        if not told and self.rank <= 1:  # rank 1 has lost rank 0
            sys.stdout.flush()
            line = (
                f'error: {self.names[gone]} died or was killed, perhaps for lack of memory: the '
                'others stop; training goes on with --resume'
            )
            os.write(2, f'{line}\n'.encode())
        self.send(FAILED, besides=gone)
        time.sleep(GRACE_S)
        os._exit(1)

    def leave(self, news: bytes) -> None:
        """Tell the others that this process ends, and how."""
        self.left = True
        self.send(news)

    def send(self, news: bytes, besides: Connection | None = None) -> None:
        """Send news to those that still listen."""
        for connection in self.names:
            if connection is not besides:
                with suppress(OSError):
                    connection.send_bytes(news)

    def close(self) -> None:
        """Close all connections."""
        for connection in self.names:
            connection.close()


def process_name(rank: int) -> str:
    """How messages call a process of the job."""
    return f'rank {rank} (process {os.getpid()} on {socket.gethostname()})'
