"""Errors that a user can mend."""

import re
from numbers import Integral

NOT_UTF8 = re.compile('[\udc80-\udcff]')  # what Python has in place of such bytes in file names


def escape_bytes(text: object) -> str:
    """Text of a file name, say, with bytes that are not UTF-8 as backslash escapes (``\\xff``)."""
    return NOT_UTF8.sub(lambda found: f'\\x{ord(found[0]) - 0xDC00:02x}', str(text))


class InputError(ValueError):
    """Something that the user gave is wrong.

    The message is one line that names what is wrong, where (file, key or index) and what to do.
    Commands print it alone and exit with status 1; other exceptions are defects and keep their
    traceback. Non-printable characters (newlines, terminal escapes) are replaced by spaces,
    bytes of file names that are not UTF-8 by backslash escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(''.join(c if c.isprintable() else ' ' for c in escape_bytes(message)))


class VideoInputError(InputError):
    """A video is missing or does not decode; a run may go on without it."""


class MissingPackageError(InputError, ImportError):
    """A package is needed that is not installed."""


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raise an InputError if a value is not a whole number of at least ``least``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise InputError(f'{name}={value!r}: use a whole number, at least {least}')


def first_line(error: Exception) -> str:
    """First line of an exception's message."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text.strip().split('\n')[0]
