"""Errors that a user can fix."""

import re
from numbers import Integral

NOT_UTF8 = re.compile('[\udc80-\udcff]')  # surrogates that replace such bytes in file names


def escape_bytes(text: object) -> str:
    """Write bytes of a text (such as a file name) that are not UTF-8 as escapes (``\\xff``)."""
    return NOT_UTF8.sub(lambda found: f'\\x{ord(found[0]) - 0xDC00:02x}', str(text))


class InputError(ValueError):
    """Invalid input from the user.

    The message is one line that names the error, the place (file, key or index) and the remedy.
    Commands print only this line and exit with status 1; other exceptions are bugs and keep their
    traceback. Non-printable characters (newlines, terminal escapes) are replaced by spaces, and
    bytes of file names that are not UTF-8 by backslash escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(''.join(c if c.isprintable() else ' ' for c in escape_bytes(message)))


class VideoInputError(InputError):
    """A video is missing or does not decode; a run may skip it."""


class MissingPackageError(InputError, ImportError):
    """A required package is not installed."""


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raise an InputError if a value is not a whole number of at least ``least``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise InputError(f'{name}={value!r}: use a whole number, at least {least}')


def first_line(error: Exception) -> str:
    """Return the first line of an exception's message."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text.strip().split('\n')[0]
