"""Pickles that would run code, and parts of such pickles."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np

from .published import array, integer, string

CANARY = 'touch was-here'
CALL = string(CANARY.encode()) + b'\x85R.'


class Calls:
    """Object that is pickled as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def blob(value: bytes) -> bytes:
    """Pickle a Caffe2 file with one blob, given as a piece of pickle."""
    return b'\x80\x02}' + string(b'blobs') + b'}' + string(b'conv1_w') + value + b'ss.'


ATTACKS = {
    'os.system': (b'cos\nsystem\n' + CALL, 'os.system'),
    'posix.system': (pickle.dumps(Calls(os.system, CANARY), 2), 'posix.system'),
    'protocol 4': (pickle.dumps(Calls(os.system, CANARY), 4), 'posix.system'),
    'builtins.eval': (
        b'\x80\x04cbuiltins\neval\n' + string(b'open("was-here", "w")') + b'\x85R.',
        'builtins.eval',
    ),
    'Python 2': (b'c__builtin__\nexec\n' + string(b'open("was-here", "w")') + b'\x85R.', 'exec'),
    'INST': (b'(' + string(CANARY.encode()) + b'ios\nsystem\n.', 'operation INST'),
    'OBJ': (b'(cos\nsystem\n' + string(CANARY.encode()) + b'o.', 'os.system'),
    'NEWOBJ': (b'\x80\x02csubprocess\nPopen\n' + string(b'ls') + b'\x85\x81.', 'subprocess.Popen'),
    'NEWOBJ_EX': (
        b'\x80\x04csubprocess\nPopen\n' + string(b'ls') + b'\x85}\x92.',
        'subprocess.Popen',
    ),
    'inside a blob': (blob(b'cos\nsystem\n' + CALL[:-1]), 'os.system'),
    'instead of a dtype': (
        blob(array(np.zeros(3, 'f4')).replace(b'cnumpy\ndtype', b'cnumpy\nload')),
        'numpy.load',
    ),
    'instead of an array': (
        blob(array(np.zeros(3, 'f4')).replace(b'_reconstruct', b'scalar')),
        None,
    ),
    'getattr': (b'cbuiltins\ngetattr\n(' + string(b'a') * 2 + b'tR.', 'builtins.getattr'),
    'torch.load': (b'ctorch\nload\n' + CALL, 'torch.load'),
    'attribute of a module': (
        b'\x80\x04\x8c\x05numpy\x8c\x0bsys.modules\x93.',
        'numpy.sys.modules',
    ),
    'attribute of a function': (
        b'\x80\x02c_codecs\nencode\n}' + string(b'__code__') + b'Nsb.',
        'attributes for a function',
    ),
    'attribute of a class': (
        b'\x80\x02cnumpy\ndtype\n}' + string(b'__init__') + b'Nsb.',
        'attributes for a type',
    ),
    'objects in an array': (
        blob(array(np.zeros(3, 'f4')).replace(b'U\x02f4', b'U\x02O8')),
        'numbers',
    ),
    'persistent id': (b'Pwas-here\n.', None),
    'binary persistent id': (string(b'was-here') + b'Q.', None),
    'extension of a byte': (b'\x80\x02\x82\x01.', 'operation EXT1'),
    'extension of two bytes': (b'\x80\x02\x83\x01\x00.', 'operation EXT2'),
    'extension of four bytes': (b'\x80\x02\x84\x01\x00\x00\x00.', 'operation EXT4'),
    'bytearray': (b'\x80\x05\x96' + struct.pack('<Q', 2**33) + b'.', None),
}


def nested_tuples(depth: int) -> bytes:
    """Pickle a tuple of 2^depth parts in a few bytes."""
    return b')' + b'q\x01h\x01\x86' * depth


def zipped(pickled: bytes) -> bytes:
    """Write a pickle into a file in the format of torch."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_STORED) as archive:
        archive.writestr('a/data.pkl', pickled)
        archive.writestr('a/byteorder', b'little')
        for i in range(4):
            archive.writestr(f'a/data/{i}', bytes(64))
        archive.writestr('a/version', b'3\n')
    return file.getvalue()


def text(content: str) -> bytes:
    """Pickle a string as torch does."""
    return b'X' + struct.pack('<I', len(content.encode())) + content.encode()


def call(name: bytes, *args: bytes) -> bytes:
    """Pickle the call of a function or class."""
    return b'c' + name + b'\n(' + b''.join(args) + b'tR'


CONTENT = call(b'_codecs\nencode', text('A' * 64), text('latin1'))
ENCODED_AGAIN = call(b'_codecs\nencode', b'h\x01', text('latin1'))
EMPTY = call(b'numpy.core.multiarray\n_reconstruct', b'cnumpy\nndarray\n', integer(0), CONTENT)


def filled(empty: bytes, flags: int = 0) -> bytes:
    """Pickle an array of eight doubles whose dtype has forged flags."""
    dtype = call(b'numpy\ndtype', text('f8'), b'\x89\x88')
    dtype += b'(' + integer(3) + text('<') + b'NNN' + integer(-1) * 2 + integer(flags) + b'tb'
    return empty + b'(' + integer(1) + b'(' + integer(8) + b't' + dtype + b'\x89' + CONTENT + b'tb'


TORCH_ATTACKS = {
    'zeros': (call(b'builtins\nbytearray', integer(2**31 - 1)), 'builtins.bytearray'),
    'doubled': (call(b'_codecs\nencode', CONTENT, text('hex')), "text in 'hex'"),
    'doubled by three arguments': (
        call(b'_codecs\nencode', CONTENT, text('hex'), text('strict')),
        "text in 'hex'",
    ),
    'again and again': (
        b'(' + text('A' * 1000) + b'q\x01' + ENCODED_AGAIN * 100 + b't',
        'more data than the file has room for',
    ),
    'arguments again and again': (
        b'(('
        + text('A' * 1000)
        + text('latin1')
        + b'tq\x01'
        + b'c_codecs\nencode\nh\x01R' * 100
        + b't',
        'more data than the file has room for',
    ),
    'array filled twice': (filled(filled(EMPTY)), 'filled twice'),
    'objects': (filled(EMPTY).replace(text('f8'), text('O8')), 'something else than numbers'),
    'a type itself': (call(b'numpy\ndtype', text('V8')), 'something else than numbers'),
    'nested key': (b'}' + nested_tuples(60) + b'Ns', 'nested tuples'),
    'long key': (b'}(' + b'K\x00' * 9 + b'tNs', 'nested tuples'),
}
"""Pickles in files of torch that ``torch.load`` would accept."""
