"""What the installed stack gets wrong, one function each.

Every function steps aside where upstream is whole, and names the version that
makes it unnecessary as far as one exists. :func:`apply` runs them all; it is
called before anything else of this package is imported. What mmaction2's wheel
lacks is in ``r21d_plugin_startup``, which has to work without this package.
"""

import importlib
import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from pickle import UnpicklingError
from threading import Thread
from typing import Any
from unittest import mock
from uuid import uuid4

import cv2
import torch
from mmengine.config import Config
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store

import r21d_plugin_startup

from . import stand_ins
from ._atomic import naming_the_file, write_picture, written_whole


def apply() -> None:
    """Repair the stack. Safe to call more than once."""
    require_mmcv()
    silence_mmcv_lite()
    load_opencv()
    r21d_plugin_startup.install()
    do_without_transformers()
    allow_mmengine_checkpoints()
    keep_small_files_small()
    write_files_whole()
    name_files_that_cannot_be_written()
    keep_restarts_apart()


def require_mmcv() -> None:
    """Say how to install mmcv where it is missing.

    ``mmcv`` and ``mmcv-lite`` install into the same folder, so depending on
    either would damage a machine that has the other.

    Raises:
        ImportError: If neither is installed.
    """
    if importlib.util.find_spec('mmcv') is None:
        raise ImportError(
            "mmcv is missing: pip install 'r21d_plugin[lite]', or mmcv>=2.1,<2.2 for compiled ops"
        )


def silence_mmcv_lite() -> None:
    """Keep mmcv-lite from advising at every start to install mmcv for a transformer."""
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


def load_opencv() -> None:
    """Load OpenCV before decord.

    decord 0.6.0 brings a zlib of 2005, which takes the place of the one that
    OpenCV finds if decord comes first: OpenCV cannot read PNG files after that.
    """
    importlib.import_module('cv2')


def do_without_transformers() -> None:
    """Have ``mmaction.models`` import beside a transformers that its multimodal models cannot use.

    Beside any transformers from 4.28 on mmaction2 1.2.0 imports those models, hence timm, which it
    does not demand, and what transformers 5 no longer has. Its placeholders take their place, as
    where transformers is missing.
    """
    try:
        importlib.import_module('mmaction.models')
    except ImportError:
        dependency: Any = importlib.import_module('mmaction.utils.dependency')
        dependency.WITH_MULTIMODAL = False
        importlib.import_module('mmaction.models')


def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read MMEngine's own checkpoints.

    MMEngine 0.10.7 pickles its message hub, with numpy scalars inside, into
    every checkpoint and loads it without ``weights_only``, which torch 2.6 and
    later refuse. What is admitted here only holds data; of ``getattr``, which
    the buffers pickle their methods with, no more than that use.
    """
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (statistics_method, 'builtins.getattr'),
            (stand_ins.DType, 'numpy.dtype'),
            (stand_ins.Numbers, 'numpy.ndarray'),
            (stand_ins.reconstruct, 'numpy.core.multiarray._reconstruct'),
            (stand_ins.reconstruct, 'numpy._core.multiarray._reconstruct'),
            (stand_ins.scalar, 'numpy.core.multiarray.scalar'),
            (stand_ins.scalar, 'numpy._core.multiarray.scalar'),
        ]
    )


def keep_small_files_small() -> None:
    """Keep ``torch.load(weights_only=True)`` from filling the memory at a word.

    torch 2.13.0 lets a pickle call ``bytearray(n)``, and codecs that double
    what they encode: some hundred bytes of file become gigabytes.
    """
    allowed = torch._weights_only_unpickler._get_allowed_globals()
    allowed['builtins.bytearray'] = stand_ins.mutable_bytes
    allowed['_codecs.encode'] = stand_ins.encode


def statistics_method(owner: type, name: str) -> Callable:
    """Look up a statistic of MMEngine's HistoryBuffer, and nothing else.

    Raises:
        UnpicklingError: If something else is asked for.
    """
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) in a checkpoint')
    return getattr(HistoryBuffer, name)


class WholeFileBackend(LocalBackend):
    """MMEngine's backend of local files, writing them under another name first."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            InputError: If they cannot be written.
        """
        with written_whole(Path(filepath), parents=True) as partial:
            partial.write_bytes(obj)


def write_files_whole() -> None:
    """Have MMEngine's checkpoints appear when they are complete.

    MMEngine 0.10.7 writes them under their final names: half of one stays
    where a run is killed or a disk is full.
    """
    register_backend('local', WholeFileBackend, force=True, prefixes='')


def name_files_that_cannot_be_written() -> None:
    """Have MMEngine and MMAction2 say in one line which file a full disk has no room for.

    A config replaces that of an earlier start when it is complete, and so do
    pictures: OpenCV may lose the end of one and say that all is well, and the
    backends would not listen if it said otherwise.
    """
    dump_config = Config.dump

    def dump(self: Config, file: str | Path | None = None) -> str | None:
        if file is None:
            return dump_config(self)
        with written_whole(Path(file)) as partial:
            return dump_config(self, partial)

    Config.dump = dump
    run_within(LocalVisBackend, '_dump', lambda backend, values, path, *_: naming_the_file(path))
    for method in ('add_config', 'add_image', 'add_scalar', 'close'):
        run_within(TensorboardVisBackend, method, naming_the_events)
    run_within(LocalVisBackend, 'add_image', writing_whole_pictures)
    theirs = importlib.import_module('mmaction.visualization')  # needs mmcv
    run_within(theirs.LocalVisBackend, 'add_video', writing_whole_pictures)


def run_within(owner: type, method: str, context: Callable[..., Any]) -> None:
    """Have a method run within a context.

    Args:
        owner (type): Class of the method.
        method (str): Its name.
        context (Callable): Makes the context from the method's positional arguments.
    """
    run = getattr(owner, method)

    @wraps(run)
    def run_inside(*args: Any, **kwargs: Any) -> Any:
        with context(*args):
            return run(*args, **kwargs)

    setattr(owner, method, run_inside)


def naming_the_events(backend: TensorboardVisBackend, *_: Any) -> AbstractContextManager:
    """Name the file for TensorBoard, which alone knows the rest of its name, if it cannot grow."""
    return naming_the_file(Path(backend._save_dir, 'events.out.tfevents.*'))


def writing_whole_pictures(*_: Any) -> AbstractContextManager:
    """Have OpenCV write whole pictures or raise an error."""
    return mock.patch.object(cv2, 'imwrite', write_picture)


def keep_restarts_apart() -> None:
    """Hide what processes told each other before ``torchrun --max-restarts`` restarted them.

    torch 2.13.0 gives them the store of those that died, where gloo finds their
    addresses: more often than not the new processes then fail or wait for ever.
    """
    rendezvous: Any = importlib.import_module('torch.distributed.rendezvous')
    may_restart = os.environ.get('TORCHELASTIC_MAX_RESTARTS', '0') != '0'
    if may_restart and os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True':
        create = rendezvous._create_c10d_store
        rendezvous._create_c10d_store = lambda *args, **kwargs: store_of_this_start(
            lambda: create(*args, **kwargs), rank=args[2], world_size=args[3]
        )


def store_of_this_start(connect: Callable[[], Any], rank: int, world_size: int) -> Store:
    """Part of a store that no earlier processes have used.

    Nothing that processes know of themselves names a start: each torchrun counts
    the restarts that its own processes caused. So the first process makes up a
    name, and tells it to whoever asks, each by a word of its own: questions of
    dead processes are answered in vain, and answers to them read by no one.

    Args:
        connect (Callable): Connects to the store, once more each time.
        rank (int): Rank of this process.
        world_size (int): Number of processes.
    """
    store, word = connect(), uuid4().hex
    if rank == 0:
        answers = Thread(target=answer, args=(connect(), word, world_size - 1), daemon=True)
        answers.start()
        return PrefixStore(word, store)
    store.append('questions', word)
    name = store.get(word).decode()
    store.add(f'{name} told', 1)
    return PrefixStore(name, store)


def answer(store: Any, name: str, others: int) -> None:
    """Tell a name to all processes that ask for it, until so many have been told."""
    answered = 0
    while store.add(f'{name} told', 0) < others:
        asked = store.get('questions').decode()
        for start in range(answered, len(asked), len(name)):
            store.set(asked[start : start + len(name)], name)
        answered = len(asked)
        time.sleep(0.05)


def bf16_weight_gradient_is_wrong(x: Tensor, conv: nn.Conv3d) -> bool:
    """Whether ``conv3d`` must not compute this convolution.

    The bfloat16 weight gradient of a ``conv3d`` with 3 taps over time, stride
    1 and padding 1 is garbage on the CPU, and another at each call, when its
    input has two time steps: conv4_x of R3D and R(2+1)D at 8 frames, conv5_x
    at 16. Seen in torch 2.13.0; float32 is right, and so are other lengths and
    the same convolution by 2D ones.

    Args:
        x (Tensor): Input, N x C x T x H x W.
        conv (Conv3d): The convolution.
    """
    autocast = torch.is_autocast_enabled('cpu')
    dtype = torch.get_autocast_dtype('cpu') if autocast else x.dtype
    return (
        dtype == torch.bfloat16
        and torch.is_grad_enabled()
        and x.device.type == 'cpu'
        and x.shape[2] == 2
        and conv.kernel_size[0] == 3
        and conv.stride[0] == 1
    )
