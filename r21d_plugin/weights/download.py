"""Weights from the web, kept in torch.hub's cache."""

import hashlib
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urlparse

import torch
from torch import distributed

from .._errors import InputError
from .public import PublicWeights


def download(url: str) -> Path:
    """Download a file, unless it is in the cache already.

    Args:
        url (str): Its address. Where it is one of
            :class:`~r21d_plugin.weights.PublicWeights` whose publisher states
            a hash, the file is held against it.

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
    fetch(url, path, sha256)  # the first process, then those on other machines of a cluster
    if several and distributed.get_rank() == 0:
        distributed.barrier()
    return path


def fetch(url: str, path: Path, sha256: str | None) -> None:
    """Download a file to a path where there is none, and check its hash.

    Raises:
        InputError: If it cannot be downloaded or has another hash.
    """
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
