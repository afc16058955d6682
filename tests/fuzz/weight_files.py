"""Property of .pth files: they give weights that fit the network, or an error of one line."""

import io
import tempfile
from pathlib import Path

import torch
import torch.nested._internal.ops  # which torch imports when it needs it
from fuzz.pickles import load
from support import assert_one_line
from weights.attacks import zipped

from r21d_plugin import InputError, create_model
from r21d_plugin.weights.loading import load_matching

INSTRUMENTED = [
    'torch._weights_only_unpickler',
    'r21d_plugin.weights.checkpoint_files',
    'r21d_plugin.weights.formats',
    'r21d_plugin.weights.loading',
    'r21d_plugin.weights.pickles',
    'r21d_plugin.weights.safetensors',
]

MODEL = create_model('r2plus1d_18', num_classes=2, base_channels=2)


for zip_file in (
    True,
    False,
):  # what torch imports when it first reads a file, or prints what is in it
    file = io.BytesIO()
    torch.save(MODEL.state_dict(), file, _use_new_zipfile_serialization=zip_file)
    repr(torch.load(io.BytesIO(file.getvalue()), weights_only=True))


def check(data: bytes) -> None:
    """Read a test case: 0 and a file, or 1 and the pickle in a file with correct checksums."""
    content = zipped(data[1:]) if data[:1] == b'\1' else data[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'a.pth')
        path.write_bytes(content)
        weights = load(path)
        if weights is None:
            return
        try:
            with torch.no_grad():
                load_matching(MODEL, weights, str(path))
        except InputError as error:
            assert_one_line(error)
