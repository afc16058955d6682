"""What a pickle of weights may do: give arrays no larger than its file, or an error of one line."""

import codecs
import sys
import tempfile
from pathlib import Path

from support import assert_one_line
from torch import Tensor

from r21d_plugin import InputError
from r21d_plugin.weights import load_state_dict_of

INSTRUMENTED = ['pickle', 'r21d_plugin.weights.pickles', 'r21d_plugin.weights.files']

HARM = ('exec', 'compile', 'import', 'os.', 'subprocess.', 'socket.', 'ctypes.', 'shutil.')
"""Beginnings of the audit events that no weights may cause."""

for name in ('ascii', 'cp437', 'latin_1', 'raw_unicode_escape', 'unicode_escape'):
    codecs.lookup(name)  # imported now, as they would be when they are first needed

watching = False


def watch(event: str, args: tuple) -> None:
    """Fail where something runs, or is opened to be written, while weights are read."""
    written = event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+')
    if watching and (written or event.startswith(HARM)):
        raise SystemError(f'{event} {args}')


sys.addaudithook(watch)


def load(path: Path) -> dict | None:
    """Load a file and watch; None if it is refused, in one line."""
    global watching
    watching = True
    try:
        return load_state_dict_of(str(path))
    except InputError as error:
        if 'SystemError' in repr(error.__cause__):
            raise error.__cause__ from None
        assert_one_line(error)
        return None
    finally:
        watching = False


def check(data: bytes) -> None:
    """Read a test case, the content of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'a.pkl')
        path.write_bytes(data)
        weights = load(path)
    if weights is not None:
        arrays = weights.values()
        assert all(isinstance(array, Tensor) for array in arrays)
        # Names may share an array.
        stored = {a.untyped_storage().data_ptr(): a.untyped_storage().nbytes() for a in arrays}
        assert sum(stored.values()) <= len(data)
