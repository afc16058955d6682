"""Print errors that users can fix as one line, without a traceback."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .._atomic import FULL, name_file_on_error, write_failure
from .._errors import InputError
from .._packages import missing_packages_named

WORKER_DEATH = re.compile(
    r'DataLoader worker \(pid(\(s\))? [\d, ]+\) (is killed by signal: [^.]+|exited unexpectedly)'
)
"""Pattern of PyTorch's message about a dataloader worker that died."""


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Context manager: print an error that the user can fix as one line, and exit with 1.

    Such errors are invalid input, a missing package, a full disk, the death of a worker, and
    Ctrl-C.
    """
    try:
        with missing_packages_named():
            yield
        with name_file_on_error('standard output'):
            sys.stdout.flush()
    except InputError as error:
        # A message from a dataloader worker is inside the worker's traceback.
        message = str(error).rpartition('InputError: ')[-1].strip()
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = error.filename or 'a file, or standard output'
        message = f'{where}: cannot write there: {write_failure(error)}'
    except RuntimeError as error:
        if (death := WORKER_DEATH.search(str(error))) is None:
            raise
        message = f'{death[0]}, perhaps for lack of memory: lower the number of workers or the '
        message += 'batch size (a training run continues with --resume)'
    except KeyboardInterrupt:
        message = 'interrupted'
    else:
        return
    try:
        sys.stdout.flush()
    except OSError:  # Python would flush again at exit, and exit with another status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(f'error: {message}')
