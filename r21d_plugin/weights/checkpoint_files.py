"""Download, read and write checkpoint files, which are treated as untrusted input."""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor, distributed
from torch.serialization import MAGIC_NUMBER

from .._atomic import atomic_write
from .._compat_torch import load_data
from .._errors import InputError
from . import pickles, safetensors
from .formats import StateDict, find_networks, find_other
from .public import PublicWeights, file_name

ARGUMENTS = (
    'argparse Namespace',
    'types SimpleNamespace',
    'pathlib PosixPath',
    'pathlib WindowsPath',
    'pathlib._local PosixPath',
    'pathlib._local WindowsPath',
    'lightning_fabric.utilities.data AttributeDict',
    'lightning.fabric.utilities.data AttributeDict',
    'pytorch_lightning.utilities.parsing AttributeDict',
    'easydict EasyDict',
)
"""Types of run arguments in foreign checkpoints, which are not instantiated."""

NO_WEIGHTS = '{}: holds no weights by name: save model.state_dict()'


def download(url: str) -> Path:
    """Download a file to ``checkpoints/<name>`` in :func:`torch.hub.get_dir`, unless it exists.

    The names of files that are not public weights begin with a hash of the address.

    Raises an InputError if the download fails, or the file's hash is not the published one.
    """
    if url.startswith('https://drive.google.com/'):
        raise InputError(f'{url}: a page, not a file: save the file from there and name that')
    published = next((w.value for w in PublicWeights if w.value.url == url), None)
    name = file_name(url)
    if published is None:  # files of several addresses may have one name
        name = f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}'
    path = Path(torch.hub.get_dir(), 'checkpoints', name)
    several = distributed.is_available() and distributed.is_initialized()
    if several and distributed.get_rank() > 0:
        distributed.barrier()
    if not path.exists():  # rank 0 downloads first, then the other machines of a cluster
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=sys.stderr.isatty())
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, 'reason', error)
            remedy = f'without a network, fetch it elsewhere and put it at {path}'
            raise InputError(f'{url}: cannot be downloaded ({reason}): {remedy}') from error
    for name, kind in (('SHA-256', 'sha256'), ('SHA-1', 'sha1')):
        if (expected := getattr(published, kind, None)) is None:
            continue
        found = hashlib.new(kind, path.read_bytes()).hexdigest()[: len(expected)]
        if found != expected:
            path.unlink()
            problem = f'its {name} begins with {found}, where {expected} is published'
            raise InputError(f'{url}: {problem}: the file was deleted, download it again')
    if several and distributed.get_rank() == 0:
        distributed.barrier()
    return path


def load_checkpoint(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load a checkpoint (file or URL) of torch or safetensors, or a Caffe2 pickle of VMZ.

    The result has the weights in ``state_dict``, wherever the file has them
    (:func:`find_state_dict`).

    Raises an InputError if the file is missing or damaged, or contains anything other than named
    tensors and plain data.
    """
    web = filename.startswith(('http://', 'https://'))
    path = download(filename) if web else Path(filename).expanduser()
    if not path.is_file():
        raise InputError(f'{filename}: no such checkpoint file')
    try:
        checkpoint = read(path, map_location)
    except Exception as error:  # a damaged file can raise any exception
        reason = 'not a readable checkpoint, truncated perhaps: copy it again or use an earlier one'
        named = re.search(r'(?:GLOBAL|Unsupported class) (\S+)', str(error))
        if refused := str(error) if isinstance(error, pickles.RefusalError) else named and named[1]:
            reason = 'not loaded, as it holds more than tensors and plain data '
            reason += f'({refused[:200]}) and could run code'
        elif web:  # an interrupted connection can end a download without an error
            path.unlink(missing_ok=True)
            reason = 'its file was damaged or incomplete, and was deleted: download it again'
        raise InputError(f'{filename}: {reason}') from error
    state_dict = find_state_dict(checkpoint, filename)
    if isinstance(checkpoint.get('state_dict'), dict):
        return {**checkpoint, 'state_dict': state_dict}
    return dict(state_dict=state_dict)


def find_state_dict(checkpoint: Any, filename: str) -> StateDict:
    """Find the only state dict in a checkpoint, at any depth; convert its arrays to tensors.

    Raises an InputError if there is none, or several contain networks of this family. A second
    state dict in MMEngine's checkpoints is ignored: it serves to resume an average of weights.
    """
    found = dict(state_dicts(checkpoint))
    networks = [p for p, each in found.items() if find_networks(each) or find_other(each)]
    modules = [path for path, each in found.items() if any('.' in name for name in each)]
    paths = networks or modules or [*found]
    state_dict: Any = None
    if len(paths) == 1:
        state_dict = found[paths[0]]
    elif networks and 'message_hub' not in checkpoint:
        remedy = 'save the one that you want, by torch.save(checkpoint[NAME], FILE)'
        names = ', '.join(networks)
        raise InputError(f'{filename}: holds the weights of several networks ({names}): {remedy}')
    elif isinstance(checkpoint, dict):
        state_dict = checkpoint.get('state_dict')
    if not isinstance(state_dict, dict) or not all(isinstance(name, str) for name in state_dict):
        raise InputError(NO_WEIGHTS.format(filename))
    if any(isinstance(value, np.ndarray) for value in state_dict.values()):
        return {name: torch.as_tensor(value) for name, value in state_dict.items()}
    return state_dict


def state_dicts(content: Any, path: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the dicts in a checkpoint that contain only named tensors and arrays."""
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        return
    if content and all(isinstance(value, (Tensor, np.ndarray)) for value in content.values()):
        yield path, content
        return
    for name, value in content.items():
        yield from state_dicts(value, f'{path}.{name}' if path else name)


def load_state_dict_of(filename: str) -> StateDict:
    """Load the weights of a checkpoint to the CPU, with the names in the file.

    Raises an InputError like :func:`load_checkpoint`, and for values other than plain tensors, such
    as the extra state or quantised tensors of other networks.
    """
    return tensors_alone(load_checkpoint(filename, 'cpu')['state_dict'], filename)


def tensors_alone(state_dict: StateDict, filename: str) -> StateDict:
    """Return a file's state dict; raise an InputError if it has other values than plain tensors."""
    for value in state_dict.values():
        plain = isinstance(value, Tensor) and value.layout == torch.strided
        if not plain or value.is_nested or value.is_quantized or value.is_meta:
            raise InputError(NO_WEIGHTS.format(filename))
    return state_dict


def save_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically, or raise an InputError."""
    try:
        with atomic_write(path, parents=True) as partial:
            torch.save(checkpoint, partial)
    except RuntimeError as error:  # torch raises it for a full disk
        raise InputError(f'{path}: cannot write there: {error}'.splitlines()[0]) from error


def read(path: Path, map_location: Any) -> Any:
    """Read a file of torch, safetensors or Caffe2, recognised by its first bytes.

    torch.load(weights_only=True) runs no code, but a small file can expand to gigabytes. Therefore
    zip files with compressed or overlapping entries are refused, and pickles are first run by our
    own interpreter.
    """
    with path.open('rb') as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        size = len(content)
        if content[:2] == b'PK':
            with open_archive(file) as archive:
                parts = archive.infolist()
                packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
                if packed or sum(part.file_size for part in parts) > size:
                    raise pickles.RefusalError('compressed data')
                pickled = (part for part in parts if part.filename.endswith('.pkl'))
                programs: list[Any] = [BytesIO(archive.read(part)) for part in pickled]
        elif safetensors.is_one(content):
            return safetensors.read(content)
        elif MAGIC_NUMBER.to_bytes(10, 'little') in content[:32]:
            programs = [content] * pickles.LEGACY_PICKLES  # the pickles follow one another
        else:
            return arrays_of(pickles.run_pickle(content, size, pickles.DATA))
        for program in programs:
            pickles.run_pickle(program, size, pickles.TORCH)
    return load_data(path, map_location, plain_names())


def open_archive(file: Any) -> zipfile.ZipFile:
    """Open a zip file of torch; torch has an option to store zeros instead of checksums."""
    archive = zipfile.ZipFile(file)
    parts: list[Any] = archive.infolist()
    if not any(part.CRC for part in parts):
        for part in parts:
            part.CRC = None  # disables the comparison
    return archive


def is_whole(path: Path) -> bool:
    """Whether a torch file exists and is complete; checksums are compared if it has any."""
    try:
        if not zipfile.is_zipfile(path):
            return path.is_file() and bool(read(path, 'cpu'))
        with open_archive(path) as archive:
            return archive.testzip() is None
    except Exception:  # a damaged file can raise any exception
        return False


def arrays_of(content: Any) -> dict[str, np.ndarray]:
    """Return the named arrays of a pickle such as Caffe2's ``{'blobs': {name: array}}``."""
    blobs = content.get('blobs', content) if isinstance(content, dict) else {}
    if not blobs or not all(isinstance(blob, pickles.NumberArray) for blob in blobs.values()):
        raise pickles.RefusalError('values other than named arrays')
    return blobs


def plain_names() -> dict[str, Any]:
    """Return the non-tensor names in checkpoints: NumPy scalars, MMEngine's log, run arguments."""
    # If MMEngine is not loaded, placeholders replace its statistics.
    module = sys.modules.get('mmengine.logging.history_buffer')
    history_buffer = getattr(module, 'HistoryBuffer', pickles.Placeholder)

    def statistics_method(owner: type, name: str) -> Any:
        if owner is not history_buffer or name not in ('min', 'max', 'mean', 'current'):
            raise pickles.RefusalError(f'getattr({owner!r}, {name!r})')
        return getattr(owner, name, None)

    return {
        **pickles.NUMPY,
        **dict.fromkeys(ARGUMENTS, pickles.Placeholder),
        '_codecs encode': pickles.encode,
        'builtins getattr': statistics_method,
        'mmengine.logging.history_buffer HistoryBuffer': history_buffer,
    }
