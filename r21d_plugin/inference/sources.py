"""Video sources other than local files: URLs, cameras and standard input."""

from __future__ import annotations

import os
import re
import shutil
import sys
from base64 import b64encode
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from .._errors import InputError, first_line

STDIN = '-'
TIMEOUT = 10.0  # seconds that a server may take to answer, or to send more data
PLAYLISTS = ('mpegurl', 'x-mixed-replace')  # content types of endless streams


def is_address(source: str) -> bool:
    """Whether a source is a URL, ``http(s)://`` or ``rtsp(s)://``."""
    return re.match('(http|rtsp)s?://', source) is not None


def is_camera(source: str) -> bool:
    """Whether a source is the number of a camera; an existing file takes precedence."""
    return source.isdigit() and not os.path.lexists(source)


def is_remote(source: str) -> bool:
    """Whether a source is standard input, a URL or a camera."""
    return source == STDIN or is_address(source) or is_camera(source)


def is_endless(source: str) -> bool:
    """Whether a source is a camera or RTSP stream, which can only be followed live."""
    return is_camera(source) or (is_address(source) and source.startswith('rtsp'))


def shown_name(source: str) -> str:
    """Return the name of a source for messages: a URL without user name and password."""
    if is_camera(source):
        return f'camera {source}'
    return 'standard input' if source == STDIN else re.sub('(?<=://)[^/]*@', '', source)


def fetch_videos(sources: Iterable[str], folder: Path) -> dict[Path, str]:
    """Copy the videos of URLs and of standard input into a folder; return names for messages.

    The copies, named like the videos, can be read like any file, even if the server does not
    support seeking. Raises an InputError if a source cannot be read, ends early or has no end.
    """
    copies: dict[Path, str] = {}
    for source in sources:
        if is_endless(source):
            raise InputError(f'{shown_name(source)}: is a stream: add --live')
        name = Path(unquote(urlsplit(source).path)).name or 'video'
        copy = folder / ('stdin' if source == STDIN else name)
        if copy in copies:
            copy = folder / f'{len(copies)}_{name}'
        copies[copy] = shown_name(source)
        if source == STDIN:
            with open(copy, 'wb') as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            download(source, copy)
    return copies


def download(address: str, copy: Path) -> None:
    """Download a URL to a file; raise an InputError if it cannot be fetched completely."""
    name = shown_name(address)
    try:
        request, parts = Request(name), urlsplit(address)
        if parts.username is not None:  # urllib would take them for a part of the host's name
            login = f'{unquote(parts.username)}:{unquote(parts.password or "")}'
            token = b64encode(login.encode()).decode()
            request.add_unredirected_header('Authorization', f'Basic {token}')
        with urlopen(request, timeout=TIMEOUT) as response, open(copy, 'wb') as file:
            kind, length = response.headers.get_content_type(), response.headers['Content-Length']
            if any(part in kind for part in PLAYLISTS):
                raise InputError(f'{name}: is a stream: add --live')
            shutil.copyfileobj(response, file)
            received = file.tell()
    except (OSError, HTTPException, UnicodeError) as error:
        raise InputError(f'{name}: cannot be fetched: {first_line(error)}') from error
    if length and received < int(length):
        raise InputError(f'{name}: the server sent {received} of {length} bytes: try again')
