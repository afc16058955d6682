"""Pickles that are read as data, such as the scores that MMEngine dumps."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import OrderedDict

import mmengine.fileio
import numpy as np
import pytest
import torch
from support import ROOT

from r21d_plugin.weights import RefusalError, load_pickle_as_data

from .attacks import ATTACKS, CANARY, CONTENT, EMPTY, Calls, call, filled, text, zipped
from .published import integer

ARRAYS = dict(
    array=np.arange(6, dtype='f4').reshape(2, 3),
    fortran=np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    big_endian=np.arange(3, dtype='>i4'),
    nothing=np.zeros((0, 2)),
)

SAMPLES = [
    dict(
        filename='videos/a.mp4',
        pred_score=torch.rand(7),
        clip_scores=torch.rand(10, 7),
        views=torch.arange(12.0).view(3, 4)[:, 1:3].t(),
        half=torch.rand(3).bfloat16(),
        gt_label=torch.tensor([3]),
        flag=torch.tensor([True]),
        empty=torch.zeros(0, 4),
        number=torch.tensor(2.5),
        accuracy=np.float64(0.25),
        integer=np.int64(-3),
        boolean=np.bool_(True),
        bytes=b'\x00\xff',
        no_bytes=b'',
        tuple=(1, 2.5, None, True, 2**70, {'a': []}),
        ordered=OrderedDict(a=1),
        keys={(1, 'a'): 1.5, None: 2, 2.5: 3},
    ),
    dict(filename='videos/\u1e9e.mp4'),
]


def assert_equal(read, written):
    if isinstance(written, dict):
        assert list(read) == list(written)
        for key, value in written.items():
            assert_equal(read[key], value)
    elif isinstance(written, torch.Tensor):
        torch.testing.assert_close(read, written, rtol=0, atol=0)
    elif isinstance(written, np.ndarray):
        assert isinstance(read, np.ndarray)
        assert read.dtype == written.dtype.newbyteorder('=')
        np.testing.assert_array_equal(read, written)
    else:
        assert type(read) is type(written)
        assert read == written


@pytest.mark.parametrize('protocol', range(6))
def test_a_dump_is_read_back(protocol, tmp_path):
    """Arrays of protocol 5 have another format, which is refused."""
    path = tmp_path / 'a.pkl'
    samples = [*SAMPLES, ARRAYS] if protocol < 5 else SAMPLES
    mmengine.fileio.dump(samples, str(path), protocol=protocol)
    read = load_pickle_as_data(path)
    assert len(read) == len(samples)
    for sample, expected in zip(read, samples):
        assert_equal(sample, expected)
    again = pickle.loads(pickle.dumps(read))  # by NumPy's own classes
    for sample, expected in zip(again, samples):
        assert_equal(sample, expected)


def test_mmengines_own_protocol(tmp_path):
    mmengine.fileio.dump(SAMPLES, str(tmp_path / 'a.pkl'))
    assert_equal(load_pickle_as_data(tmp_path / 'a.pkl')[0], SAMPLES[0])


def test_no_gradients(tmp_path):
    weight = torch.ones(3, requires_grad=True)
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps([weight]))
    assert not load_pickle_as_data(tmp_path / 'a.pkl')[0].requires_grad


@pytest.mark.parametrize('attack', ATTACKS)
def test_code_is_refused_by_name(attack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, named = ATTACKS[attack]
    path = tmp_path / 'a.pkl'
    path.write_bytes(content)
    with pytest.raises(RefusalError if named else (TypeError, ValueError), match=named):
        load_pickle_as_data(path)
    assert os.listdir() == ['a.pkl']


def test_os_system(tmp_path):
    for protocol in range(6):
        (tmp_path / 'a.pkl').write_bytes(pickle.dumps([Calls(os.system, CANARY)], protocol))
        with pytest.raises(RefusalError, match=r'^posix\.system$'):
            load_pickle_as_data(tmp_path / 'a.pkl')


ENCODE = b'_codecs\nencode'
LOAD_STORAGE = b'torch.storage\n_load_from_bytes'
MORE = 'more data than the file has room for'
SIZE = 25_000


def encoded(content: bytes) -> bytes:
    """Pickle bytes with protocol 2."""
    return call(ENCODE, text(content.decode('latin-1')), text('latin1'))


def view(storage: bytes, size: int, stride: int) -> bytes:
    """Pickle a tensor of one dimension."""
    shape = integer(size) + b'\x85' + integer(stride) + b'\x85'
    return call(b'torch._utils\n_rebuild_tensor_v2', storage, integer(0), shape, b'\x89}')


def array(content: bytes, size: int) -> bytes:
    """Pickle an array of doubles."""
    return filled(EMPTY).replace(CONTENT, content).replace(integer(8), integer(size))


def repeated(value: bytes, part: bytes) -> bytes:
    """Pickle a list of a thousand objects made from one value, entry 1 of the memo."""
    return b'](' + value + b'q\x01' + part * 1000 + b'e'


def oversized() -> dict[str, tuple[bytes, str]]:
    """Write small pickles that claim gigabytes, or tensors that need gigabytes to compute."""
    # What torch writes of storages of 16 and SIZE floats into the pickle of a tensor.
    stored, large = (torch.zeros(n).storage().__reduce__()[1][0] for n in (16, SIZE))
    system, keys = stored.index(b'}q\x00('), stored.rindex(b']q\x00')
    gigabytes = integer(2**31 - 1)
    allocation = call(b'builtins\nbytearray', gigabytes)
    unfilled = stored[:keys].replace(b'K\x10N', integer(2**26) + b'N') + b'].'
    storages = {
        'allocation in the system': (stored[:system] + allocation + stored[system:], 'bytearray'),
        'allocation in the keys': (stored[:keys] + allocation + b'.', 'builtins.bytearray'),
        'function': (stored.replace(b'FloatStorage', b'zeros'), 'torch.zeros'),
        'storage larger than its file': (unfilled, MORE),
        'zip file': (zipped(b'N.'), 'UnicodeDecodeError'),
    }
    storage = call(LOAD_STORAGE, encoded(stored))
    return {
        'bytearray': (allocation, 'builtins.bytearray'),
        'bytearray of protocol 5': (b'\x96' + (2**33).to_bytes(8, 'little'), 'expected'),
        'codec': (call(ENCODE, CONTENT, text('hex')), "text in 'hex'"),
        'array of objects': (filled(EMPTY).replace(text('f8'), text('O8')), 'than numbers'),
        'array with flags of objects': (filled(EMPTY, flags=63), 'loaded'),
        'array of a number': (array(gigabytes, 8), 'than numbers'),
        'array larger than its content': (array(CONTENT, 2**30), 'size'),
        'array filled twice': (filled(filled(EMPTY)), 'filled twice'),
        'expanded tensor': (view(storage, 2**31 - 1, 0), MORE),
        'tensor larger than its storage': (view(storage, 17, 1), 'out of bounds'),
        'negative size': (view(storage, -1, 1), 'RuntimeError'),
        'state of a tensor': (view(storage, 1, 1) + b')b', 'attributes for a Tensor'),
        'repeated bytes': (
            repeated(text('A' * SIZE), call(ENCODE, b'h\x01', text('latin1'))),
            MORE,
        ),
        'repeated storages': (repeated(encoded(large), call(LOAD_STORAGE, b'h\x01')), MORE),
        'repeated views': (
            repeated(call(LOAD_STORAGE, encoded(large)), view(b'h\x01', SIZE, 1)),
            MORE,
        ),
        'repeated arrays': (repeated(encoded(bytes(8 * SIZE)), array(b'h\x01', SIZE)), MORE),
        'repeated dicts': (
            repeated(b'}', call(b'collections\nOrderedDict', b'h\x01')),
            'TypeError',
        ),
        **{
            name: (call(LOAD_STORAGE, encoded(content)), message)
            for name, (content, message) in storages.items()
        },
    }


def test_no_more_memory_than_the_file_justifies(tmp_path):
    """The process is limited to its imports and 1 GiB, and uses far less."""
    files = oversized()
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(b'\x80\x02' + content + b'.')
    code = """
import resource, sys
from pathlib import Path
from r21d_plugin.weights import load_pickle_as_data
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        load_pickle_as_data(Path(path))
        outcome = 'loaded'
    except Exception as error:
        outcome = repr(error).splitlines()[0]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(f'{Path(path).name}: {grown} MiB, {outcome}')
"""
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code, *(tmp_path / name for name in files)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    reports = dict(line.split(': ', 1) for line in result.stdout.splitlines())
    assert list(reports) == list(files)
    for name, report in reports.items():
        assert files[name][1] in report, f'{name}: {report}'
        assert int(report.split()[0]) < 64, f'{name}: {report}'
