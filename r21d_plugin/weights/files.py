"""Reading and writing checkpoint files, which may be a stranger's."""

import re
import zipfile
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import MAGIC_NUMBER

from .. import stand_ins
from .._atomic import written_whole
from .._errors import InputError
from ..stand_ins import RefusalError
from .download import download
from .forms import StateDict
from .pickles import check_expansion, read_blobs

LEGACY_PICKLES = 4
"""Magic number, protocol, system and content, of a file in torch's format before its zip files."""


def load_checkpoint(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint, with errors of one line.

    Args:
        filename (str): File or address of one that torch wrote, or a Caffe2
            pickle of the authors' release.
        map_location (Any): As :func:`torch.load` takes it. Defaults to None.

    Raises:
        InputError: If the file is missing, truncated, or holds anything else
            than tensors and plain Python data.
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
    return with_weights(checkpoint, filename)


def read(path: Path, map_location: Any) -> Any:
    """Read a file, which tells by its first bytes what has written it."""
    with path.open('rb') as file:
        head = file.read(32)
    if head.startswith(b'PK'):
        check_zip(path)
    elif MAGIC_NUMBER.to_bytes(10, 'little') not in head:
        return dict(state_dict=read_blobs(path))
    else:
        with path.open('rb') as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            check_expansion(content, LEGACY_PICKLES)
    with torch.serialization.safe_globals(stand_ins.mmengine_globals()):
        return torch.load(path, map_location=map_location, weights_only=True)


def check_zip(path: Path) -> None:
    """Check that a zip file holds no more than its size, as torch's do, and so its pickles.

    Raises:
        RefusalError: If it is compressed, its parts overlap, or a pickle asks for more.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
        if packed or sum(part.file_size for part in parts) > size:
            raise RefusalError('compressed data')
        for part in parts:
            if part.filename.endswith('.pkl'):
                check_expansion(BytesIO(archive.read(part)))


def with_weights(checkpoint: Any, source: str) -> dict:
    """Check that a checkpoint holds weights by name.

    Raises:
        InputError: If it holds no weights by name.
    """
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise no_weights(source)
    return checkpoint


def check_plain(state_dict: StateDict, source: str) -> None:
    """Check that weights are plain tensors.

    That is for networks of ours: those of others may have quantised tensors, or extra state.

    Raises:
        InputError: If they are not.
    """
    if not all(map(is_plain, state_dict.values())):
        raise no_weights(source)


def no_weights(source: str) -> InputError:
    """The error that something holds no weights."""
    return InputError(f'{source}: holds no weights by name: save model.state_dict()')


def is_plain(value: Any) -> bool:
    """Whether something is a tensor whose numbers are in a file, one after the other."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_nested or value.is_quantized or value.is_meta)
    )


def save_checkpoint(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint file, which appears when it is complete.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        with written_whole(path, parents=True) as partial:
            torch.save(checkpoint, partial)
    except RuntimeError as error:  # torch's own, of a disk that is full
        raise InputError(f'{path}: cannot write there: {error}'.splitlines()[0]) from error


def load_state_dict_of(path: str) -> StateDict:
    """The weights in a checkpoint, file or URL, as they are named there."""
    checkpoint = load_checkpoint(path, 'cpu')
    state_dict = checkpoint.get('state_dict', checkpoint)
    check_plain(state_dict, path)
    return state_dict
