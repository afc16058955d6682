"""Malicious weight files: code in pickles, and files that unpack to gigabytes."""

import copyreg
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from support import ROOT, needs_torch

from r21d_plugin import InputError, create_model
from r21d_plugin.weights import load_checkpoint, load_state_dict_of, load_weights

from .attacks import (
    ATTACKS,
    CALL,
    CANARY,
    EMPTY,
    TORCH_ATTACKS,
    Calls,
    blob,
    filled,
    nested_tuples,
    text,
    zipped,
)
from .published import array, string, write_caffe2


@pytest.mark.parametrize('attack', ATTACKS)
def test_code_is_refused_by_name(attack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, named = ATTACKS[attack]
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(InputError) as error:
        load_checkpoint('a.pth')
    message = str(error.value)
    assert message.startswith('a.pth: not ')
    assert '\n' not in message
    if named:
        assert named in message
        assert message.endswith('and could run code')
    assert os.listdir() == ['a.pth']


@pytest.mark.parametrize('zipped', [True, False])
def test_code_in_a_torch_file(zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(
        dict(state_dict=Calls(os.system, CANARY)), 'a.pth', _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(InputError, match=r'a\.pth: not loaded, .*\(posix\.system\) and could run'):
        load_checkpoint('a.pth')
    assert os.listdir() == ['a.pth']


@pytest.mark.parametrize('attack', TORCH_ATTACKS)
def test_pickles_that_torch_would_read(attack, tmp_path):
    value, named = TORCH_ATTACKS[attack]
    path = tmp_path / 'a.pth'
    path.write_bytes(zipped(b'\x80\x02}' + text('a') + value + b's.'))
    with pytest.raises(InputError) as error:
        load_checkpoint(str(path))
    assert f'({named}' in str(error.value) or f'{named})' in str(error.value)
    assert '\n' not in str(error.value)


def test_storage_keys_of_the_legacy_format(tmp_path):
    """The last pickle of the file is read as safely as the others."""
    path = tmp_path / 'a.pth'
    torch.save({'a': torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    keys = content.rindex(b'\x80\x02]')
    value, named = TORCH_ATTACKS['zeros']
    path.write_bytes(content[:keys] + b'\x80\x02' + value + b'.')
    with pytest.raises(InputError, match=named):
        load_checkpoint(str(path))


def test_arrays_in_a_torch_file_are_numbers(tmp_path):
    """NumPy would keep flags that declare these doubles to be object pointers."""
    path = tmp_path / 'a.pth'
    path.write_bytes(zipped(b'\x80\x02}' + text('a') + filled(EMPTY, flags=63) + b's.'))
    expected = torch.frombuffer(bytearray(b'A' * 64), dtype=torch.float64)
    assert torch.equal(load_state_dict_of(str(path))['a'], expected)


@needs_torch('serialization.get_unsafe_globals_in_checkpoint')  # torch 2.6
def test_values_that_other_networks_store(tmp_path):
    """Extra state and quantised tensors are not of our networks, but other files have them."""
    quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    state_dict = {'fc.weight': quantised, 'fc._extra_state': dict(bits=8)}
    path = str(tmp_path / 'a.pth')
    torch.save(dict(state_dict=state_dict), path)
    loaded = load_checkpoint(path)['state_dict']
    assert torch.equal(loaded['fc.weight'].dequantize(), torch.ones(3))
    assert loaded['fc._extra_state'] == dict(bits=8)
    model = create_model('r3d_18', base_channels=4)
    for load in (load_state_dict_of, partial(load_weights, model)):
        with pytest.raises(InputError, match=r'a\.pth: holds no weights by name'):
            load(path)


def test_an_extension_that_python_remembers(tmp_path):
    """Once an unpickler has looked it up, Python does not call find_class for it."""
    copyreg.add_extension('os', 'system', 1)
    try:
        (tmp_path / 'a.pkl').write_bytes(b'\x80\x02\x82\x01' + CALL)
        pickle.loads(b'\x80\x02\x82\x01.')
        with pytest.raises(InputError, match='operation EXT1'):
            load_checkpoint(str(tmp_path / 'a.pkl'))
    finally:
        copyreg.remove_extension('os', 'system', 1)
        copyreg.clear_extension_cache()


def test_an_attack_would_work():
    """Python's own unpickler obeys the pickles above, so they are real attacks."""
    out = subprocess.run(
        [sys.executable, '-c', 'import pickle, sys; pickle.load(sys.stdin.buffer)'],
        input=b'cos\nsystem\n' + string(b'echo obeyed') + b'\x85R.',
        capture_output=True,
    )
    assert out.stdout == b'obeyed\n'


def bombs(folder) -> list:
    """Write small files that claim or unpack to gigabytes, or take years to hash."""
    huge = array(np.zeros(3, 'f4'))
    shape = b'(' + b'J' + struct.pack('<i', 3) + b't'
    shapes = dict(
        large=b'(' + (b'J' + struct.pack('<i', 10**9)) * 3 + b't',
        negative=b'(' + b'J' + struct.pack('<i', -1) * 1 + b't',
    )
    files = {
        'memo index': b'\x80\x02}r\xff\xff\xff\xff.',
        'frame': b'\x80\x04\x95' + b'\xff' * 7 + b'\x7f.',
        'string': b'\x80\x02T' + struct.pack('<i', 2**31 - 1) + b'a.',
        'nested key': b'\x80\x02}' + nested_tuples(60) + b'Ns.',
        'doubled key': b'\x80\x02})' + b'2\x86' * 60 + b'Ns.',
        'nested keys': b'\x80\x02}(' + nested_tuples(60) + b'Nu.',
        'nested set': b'\x80\x04\x8f(' + nested_tuples(60) + b'\x90.',
        'nested blob': blob(nested_tuples(60)),
        'nested shape': blob(huge.replace(shape, nested_tuples(60))),
        'truncated': blob(huge)[:-20],
        'deep': blob(b'(' * 10**6 + b't' * 10**6),
        'ndarray itself': blob(b'cnumpy\nndarray\n(' + shapes['large'] + b'tR'),
        **{f'{name} shape': blob(huge.replace(shape, value)) for name, value in shapes.items()},
    }
    # One string of a megabyte as the content of ten thousand arrays.
    content = string(bytes(2**20))
    first = array(np.zeros(2**18, 'f4')).replace(content, content + b'q\x01')
    again = array(np.zeros(2**18, 'f4')).replace(content, b'h\x01')
    names = (string(b'%d' % i) for i in range(10_000))
    items = b''.join(name + (again if i else first) for i, name in enumerate(names))
    files['shared content'] = b'\x80\x02}' + string(b'blobs') + b'}(' + items + b'us.'
    paths = []
    for name, data in files.items():
        paths.append(folder / f'{name}.pkl')
        paths[-1].write_bytes(data)

    torch.save(dict(a=torch.zeros(3)), folder / 'good.pth')
    with zipfile.ZipFile(folder / 'good.pth') as good:
        parts = {info.filename: good.read(info) for info in good.infolist()}
    parts['good/data/0'] = bytes(2**30)
    with zipfile.ZipFile(folder / 'zip bomb.pth', 'w', zipfile.ZIP_DEFLATED) as bomb:
        for name, part in parts.items():
            bomb.writestr(name, part)
    return [*paths, folder / 'zip bomb.pth']


@pytest.mark.slow
def test_bombs(tmp_path):
    """The process is limited to the memory of its imports and 1 GiB."""
    paths = bombs(tmp_path)
    code = """
import resource, sys
from r21d_plugin import InputError
from r21d_plugin.weights import load_checkpoint
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for path in sys.argv[1:]:
    try:
        load_checkpoint(path)
    except InputError as error:
        assert str(error).startswith(path + ': not '), error
    else:
        sys.exit(path + ' was loaded')
    print(path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code, *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[:-1] == [str(path) for path in paths]


def test_absurd_shapes_are_never_filled(tmp_path):
    """The tensor of a terabyte is a single number, seen repeatedly."""
    state_dict = {'backbone.stem.0.weight': torch.zeros(1).expand(10**6, 10**6)}
    torch.save(dict(state_dict=state_dict), tmp_path / 'a.pth')
    with pytest.raises(InputError, match=r'a\.pth: weights of another network'):
        create_model('r3d_18', weights=str(tmp_path / 'a.pth'), base_channels=4)


def test_files_that_are_not_weights(tmp_path):
    torch.save([torch.zeros(3)], tmp_path / 'list.pth')
    with pytest.raises(InputError, match=r'list\.pth: holds no weights by name'):
        load_checkpoint(str(tmp_path / 'list.pth'))
    (tmp_path / 'text.pkl').write_bytes(pickle.dumps({'blobs': {'conv1_w': 'text'}}, 2))
    with pytest.raises(
        InputError, match=r'text\.pkl: not loaded, .*values other than named arrays'
    ):
        load_checkpoint(str(tmp_path / 'text.pkl'))


def test_arrays_of_any_layout(tmp_path):
    arrays = {
        'fortran': np.asfortranarray(np.arange(6, dtype='f4').reshape(2, 3)),
        'big endian': np.arange(6, dtype='>f4').reshape(3, 2),
        'double': np.arange(3.0),
        'scalar': np.array(5, 'i4'),
    }
    for protocol in (2, 4):
        (tmp_path / 'a.pkl').write_bytes(pickle.dumps(arrays, protocol))
        loaded = load_checkpoint(str(tmp_path / 'a.pkl'))['state_dict']
        for name, value in arrays.items():
            np.testing.assert_array_equal(loaded[name].numpy(), value)
    write_caffe2({'conv1_w': np.ones((2, 3), 'f4')}, tmp_path / 'b.pkl')
    loaded = load_checkpoint(str(tmp_path / 'b.pkl'))['state_dict']['conv1_w']
    assert torch.equal(loaded, torch.ones(2, 3))
