"""Checkpoint files: download, read, write. Files are untrusted input."""

import hashlib
import re
import sys
import zipfile
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urlparse

import torch
from torch import Tensor, distributed
from torch.serialization import MAGIC_NUMBER

from .._atomic import atomic_write
from .._errors import InputError
from .formats import StateDict
from .pickles import LEGACY_PICKLES, check_expansion, read_blobs
from .public import PublicWeights
from .safe_globals import RefusalError, mmengine_globals


def download(url: str) -> Path:
    """Download a file, unless it is in torch.hub's cache already.

    Args:
        url (str): Its address. The files of :class:`~r21d_plugin.weights.PublicWeights` are
            checked against the published hash, where there is one.

    Returns:
        Path: The file, ``checkpoints/<name>`` in :func:`torch.hub.get_dir`.

    Raises:
        InputError: If it cannot be downloaded or has another hash.
    """
    path = Path(torch.hub.get_dir(), 'checkpoints', Path(unquote(urlparse(url).path)).name)
    known = (weights.value for weights in PublicWeights)
    sha256 = next((weights.sha256 for weights in known if weights.url == url), None)
    several = distributed.is_available() and distributed.is_initialized()
    if several and distributed.get_rank() > 0:
        distributed.barrier()
    fetch(url, path, sha256)  # rank 0 first; the other machines of a cluster after it
    if several and distributed.get_rank() == 0:
        distributed.barrier()
    return path


def fetch(url: str, path: Path, sha256: str | None) -> None:
    """Download a file to a path where there is none, and check its hash."""
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=sys.stderr.isatty())
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, 'reason', error)
            raise InputError(
                f'{url}: cannot be downloaded ({reason}): without a network, fetch it elsewhere '
                f'and put it at {path}'
            ) from error
    if sha256 is not None:
        with path.open('rb') as file:
            found = hashlib.file_digest(file, 'sha256').hexdigest()
        if not found.startswith(sha256):
            path.unlink()
            raise InputError(
                f'{url}: its SHA-256 begins with {found[: len(sha256)]}, where {sha256} is '
                'published: the file was deleted, download it again'
            )


def load_checkpoint(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint that holds weights by name.

    Args:
        filename (str): File or address of one that torch wrote, or of a Caffe2 pickle of VMZ.
        map_location (Any): As :func:`torch.load` takes it. Defaults to None.

    Raises:
        InputError: If the file is missing or damaged, or holds anything but tensors by name and
            plain data.
    """
    web = filename.startswith(('http://', 'https://'))
    path = download(filename) if web else Path(filename).expanduser()
    if not path.is_file():
        raise InputError(f'{filename}: no such checkpoint file')
    try:
        checkpoint = read(path, map_location)
    except Exception as error:  # what a damaged file raises is up to its bytes
        named = re.search(r'GLOBAL (\S+)', str(error))
        refused = str(error) if isinstance(error, RefusalError) else named and named[1]
        if refused:
            raise InputError(
                f'{filename}: not loaded, as it holds more than tensors and plain data '
                f'({refused[:200]}) and could run code'
            ) from error
        raise InputError(
            f'{filename}: not a readable checkpoint, truncated perhaps: '
            'copy it again or use an earlier one'
        ) from error
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise no_weights(filename)
    return checkpoint


def load_state_dict_of(filename: str) -> StateDict:
    """Load the weights of a checkpoint onto the CPU, under the names that they have in the file.

    Args:
        filename (str): See :func:`load_checkpoint`.

    Raises:
        InputError: See :func:`load_checkpoint`; also if there is anything but plain tensors, such
            as the extra state or quantised tensors of other networks.
    """
    checkpoint = load_checkpoint(filename, 'cpu')
    state_dict = checkpoint.get('state_dict', checkpoint)
    if not all(map(is_plain, state_dict.values())):
        raise no_weights(filename)
    return state_dict


def save_checkpoint(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint atomically.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        with atomic_write(path, parents=True) as partial:
            torch.save(checkpoint, partial)
    except RuntimeError as error:  # torch's own, of a full disk
        raise InputError(f'{path}: cannot write there: {error}'.splitlines()[0]) from error


def read(path: Path, map_location: Any) -> Any:
    """Read a file of torch or Caffe2, told apart by its first bytes."""
    with path.open('rb') as file:
        head = file.read(32)
    if head.startswith(b'PK'):
        check_zip(path)
    elif MAGIC_NUMBER.to_bytes(10, 'little') not in head:
        return dict(state_dict=read_blobs(path))
    else:
        with path.open('rb') as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            check_expansion(content, LEGACY_PICKLES)
    with torch.serialization.safe_globals(mmengine_globals()):
        return torch.load(path, map_location=map_location, weights_only=True)


def check_zip(path: Path) -> None:
    """Refuse a zip file that is compressed, overlaps itself, or whose pickles ask for more."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
        if packed or sum(part.file_size for part in parts) > path.stat().st_size:
            raise RefusalError('compressed data')
        for part in parts:
            if part.filename.endswith('.pkl'):
                check_expansion(BytesIO(archive.read(part)))


def is_plain(value: Any) -> bool:
    """Whether a value is a dense, unquantised tensor with data."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_nested or value.is_quantized or value.is_meta)
    )


def no_weights(source: str) -> InputError:
    """The error of a file without weights."""
    return InputError(f'{source}: holds no weights by name: save model.state_dict()')
