"""One-line errors for missing packages, with the command that installs them.

The subpackages that need MMAction2 import this module: after ``pip install --no-deps``, only
networks and weights are usable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ._errors import MissingPackageError

EXTRAS = dict(
    captum='report',
    h5py='hdf5',
    huggingface_hub='hub',
    jinja2='report',
    markdown='study',
    mmcv='lite',
    nncf='quantize',
    onnx='export',
    onnxruntime='export',
    onnxscript='export',
    openvino='openvino',
    pytorchvideo='pytorchvideo',
    safetensors='hub',
    sklearn='metrics',
    tensorboard='tensorboard',
    torchvision='pytorchvideo',
)
PLUGIN = ('mmengine', 'mmaction', 'mmcv', 'cv2', 'av')
OTHERS = ('importlib_metadata', 'matplotlib', 'numpy', 'PIL', 'scipy', 'tabulate', 'tqdm')


def missing(package: str) -> MissingPackageError:
    """Build an error that says how to install a package."""
    if package == 'mmaction':
        remedy = "pip install --no-deps 'mmaction2>=1.2,<1.3' where decord has no wheels, else "
        remedy += 'pip install r21d_plugin without --no-deps'
    elif package == 'mmcv':
        remedy = "pip install 'r21d_plugin[lite]', or mmcv>=2.1,<2.2 for compiled ops"
    elif package in EXTRAS:
        remedy = f"pip install 'r21d_plugin[{EXTRAS[package]}]'"
    else:
        remedy = 'pip install r21d_plugin, without --no-deps, installs it'
    return MissingPackageError(f'{package} is missing: {remedy}')


@contextmanager
def missing_packages_named() -> Iterator[None]:
    """Context manager: convert a failed import of a requirement to a MissingPackageError.

    A part that PyTorch got later than 1.13, such as ``torch.export``, is a requirement, too.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or '').partition('.')[0]
        if package in (*EXTRAS, *PLUGIN, *OTHERS) and find_spec(package) is None:
            raise missing(package) from error
        if package == 'torch' and find_spec('torch'):
            reason = f'{error.name} is not in this PyTorch: install a newer one'
            raise MissingPackageError(reason) from error
        raise


def import_package(name: str) -> Any:
    """Import an optional package; a MissingPackageError says how to install it."""
    with missing_packages_named():
        return import_module(name)


def check_plugin() -> None:
    """Raise a MissingPackageError if a requirement of the MMAction2 plugin is missing."""
    for package in PLUGIN:
        if find_spec(package) is None:
            raise missing(package)
