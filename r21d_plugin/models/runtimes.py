"""Networks computed by OpenVINO, on the CPU, in place of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from inspect import signature
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .._errors import InputError, first_line
from .._packages import missing_packages_named
from .video_resnet import VideoResNet

RUNTIMES = dict(torch=('float32', 'bfloat16', 'float16'), openvino=('float32', 'bfloat16', 'int8'))
"""Runtimes of a test (``test_cfg.runtime``), and the types in which each computes (``dtype``)."""

HINTS = dict(float32='f32', bfloat16='bf16', int8='f32')
"""OpenVINO's name of the type of all that is not quantised."""


def runtime_and_dtype(test_cfg: Mapping[str, Any] | None) -> tuple[str, str]:
    """Runtime and type that ``test_cfg`` names, by default ``'torch'`` and ``'float32'``.

    Raises an InputError if there is no such, or OpenVINO is missing.
    """
    test_cfg = test_cfg or {}
    runtime, dtype = test_cfg.get('runtime', 'torch'), test_cfg.get('dtype', 'float32')
    if runtime not in RUNTIMES:
        raise InputError(f'test_cfg.runtime={runtime!r}: use {" or ".join(RUNTIMES)}')
    if dtype not in RUNTIMES[runtime]:
        *others, last = RUNTIMES[runtime]
        types = f'{", ".join(others)} or {last}, which runtime={runtime!r} has'
        raise InputError(f'test_cfg.dtype={dtype!r}: use {types}')
    if runtime == 'openvino':
        import_openvino()
    return runtime, dtype


def import_openvino() -> Any:
    """Import OpenVINO; a MissingPackageError says how to install it."""
    with missing_packages_named():
        import openvino
    return openvino


@lru_cache(maxsize=None)
def core() -> Any:
    """OpenVINO's core, one for this process.

    Each sets a stack for signals, and when it goes puts that of the one before back, though that
    may be freed: then the next signal ends the process (OpenVINO 2026.4).
    """
    return import_openvino().Core()


@contextmanager
def computed_by_openvino(
    network: nn.Module, dtype: str, int8: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Have OpenVINO compute a network in the block; hooks of the network itself are called.

    It is compiled in the first block, and again once its weights have changed (if through
    ``.data``, after :func:`forget`).

    Args:
        network (nn.Module): A network of this package, or a module that has one for each of its
            inputs, in evaluation mode on the CPU.
        dtype (str): One of ``RUNTIMES['openvino']``.
        int8 (Mapping, optional): The quantised network, by :func:`to_plain_data`, which
            ``'int8'`` needs. Defaults to None.

    Raises:
        InputError: If OpenVINO is missing, the network is another package's, or the CPU or the
            checkpoint lacks the type.
    """
    source = int8 or {} if dtype == 'int8' else None
    twin, state = TWINS.get(network), state_of(network)
    if twin is None or state is None or twin.state != state or twin.source is not source:
        model = convert(network) if source is None else from_plain_data(source)
        twin = TWINS[network] = OpenVinoTwin(model, source, state)
    with computed_by_twin(network, twin, dtype):
        yield


@contextmanager
def computed_by_twin(network: nn.Module, twin: OpenVinoTwin, dtype: str) -> Iterator[None]:
    """Have a network computed by its twin in the block."""
    own: Any = network
    own.forward = partial(twin.forward, network, dtype)  # found before that of its class
    try:
        yield
    finally:
        del own.forward


def forget(network: nn.Module) -> None:
    """Have a network compiled again in the next block."""
    TWINS.pop(network, None)


def state_of(network: nn.Module) -> list[Any] | None:
    """What changes with a network's tensors; None if PyTorch does not count their changes."""
    tensors = [*chain(network.parameters(), network.buffers())]
    if any(tensor.is_inference() for tensor in tensors):
        return None
    return [(tensor.data_ptr(), tensor._version) for tensor in tensors]


class OpenVinoTwin:
    """OpenVINO's model of a network in a certain state.

    Several clips are computed side by side, each in a stream of its own, as OpenVINO's hint of
    throughput has it, and a single one by all threads, which are as many as PyTorch's. Compiled
    models are not cached on disk: reading them back takes as long.
    """

    def __init__(self, model: Any, source: Any, state: list[Any] | None) -> None:
        self.model, self.source, self.state = model, source, state
        self.compiled: dict[tuple[Any, ...], list[Any]] = {}

    def forward(self, network: nn.Module, dtype: str, *args: Tensor, **kwargs: Tensor) -> Any:
        """Compute what the network, of which this is the twin, makes of clips of each stream."""
        bound = signature(type(network).forward).bind(network, *args, **kwargs)
        _, *clips = bound.arguments.values()
        for stream, x in zip(streams_in(network), clips):
            stream.check_clips(x)
        views = [
            [view.float().contiguous().numpy() for view in of_streams]
            for of_streams in zip(*(x.split(1) for x in clips))
        ]
        maps = []
        requests = self.requests(dtype, len(views))
        for first in range(0, len(views), len(requests)):
            # Without callbacks, which would run Python in OpenVINO's threads.
            running = [*zip(requests, views[first:])]
            for request, arrays in running:
                request.start_async(arrays)
            for request, _ in running:
                request.wait()
                maps.append([torch.tensor(output.data) for output in request.output_tensors])
        found = tuple(map(torch.cat, zip(*maps)))
        return found if len(found) > 1 else found[0]

    def requests(self, dtype: str, clips: int) -> list[Any]:
        """Inference requests for so many clips, which can run at the same time."""
        properties = dict(
            INFERENCE_PRECISION_HINT=HINTS[dtype],
            PERFORMANCE_HINT='THROUGHPUT' if clips > 1 else 'LATENCY',
            INFERENCE_NUM_THREADS=torch.get_num_threads(),
        )
        key = tuple(properties.values())
        if key not in self.compiled:
            if dtype == 'bfloat16' and not has_bfloat16():
                raise InputError("test_cfg.dtype='bfloat16': this CPU lacks it: use float32")
            compiled = core().compile_model(self.model, 'CPU', properties)
            count = compiled.get_property('OPTIMAL_NUMBER_OF_INFER_REQUESTS')
            self.compiled[key] = [compiled.create_infer_request() for _ in range(count)]
        return self.compiled[key]


def has_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this CPU."""
    return 'BF16' in core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


TWINS: WeakKeyDictionary[nn.Module, OpenVinoTwin] = WeakKeyDictionary()
"""What was compiled of networks that are still there."""


def streams_in(network: nn.Module) -> list[VideoResNet]:
    """The networks of this package in a module, one for each of its inputs."""
    streams = [module for module in network.modules() if isinstance(module, VideoResNet)]
    if not streams:
        raise InputError("test_cfg.runtime='openvino' is for the networks of this package")
    return streams


def convert(network: nn.Module) -> Any:
    """Convert a network to OpenVINO's model, for clips of any number and size."""
    streams = streams_in(network)
    examples = tuple(torch.zeros(2, s.in_channels, s.clip_len or 8, 32, 32) for s in streams)
    with torch.no_grad():  # traced here, once, as OpenVINO has it checked three times
        traced = torch.jit.freeze(torch.jit.trace(network, examples, check_trace=False))
    return import_openvino().convert_model(traced, example_input=examples)


def to_plain_data(model: Any) -> dict[str, Any]:
    """OpenVINO's model as data that checkpoints hold: its ``graph`` and ``weights``."""
    with TemporaryDirectory() as folder:
        graph, weights = Path(folder, 'model.xml'), Path(folder, 'model.bin')
        import_openvino().serialize(model, graph, weights)
        content = torch.frombuffer(bytearray(weights.read_bytes()), dtype=torch.uint8)
        return dict(graph=graph.read_text('utf-8'), weights=content)


def from_plain_data(data: Mapping[str, Any] | None) -> Any:
    """Read the model of :func:`to_plain_data`; an InputError if there is none."""
    if not data:
        remedy = 'write one that has it by r21d quantize'
        raise InputError(f"test_cfg.dtype='int8': the checkpoint has no int8 network: {remedy}")
    try:
        weights = import_openvino().Tensor(data['weights'].numpy())
        return core().read_model(data['graph'], weights)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"the checkpoint's int8 network: {first_line(error)}") from error
