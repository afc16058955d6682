"""Compute networks with OpenVINO instead of PyTorch, on the CPU."""

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
from .._norm_eps import norm_eps
from .._packages import import_package
from .video_resnet import VideoResNet

RUNTIMES = dict(torch=('float32', 'bfloat16', 'float16'), openvino=('float32', 'bfloat16', 'int8'))
"""Runtimes of a test (``test_cfg.runtime``), and the dtypes that each supports (``dtype``)."""

HINTS = dict(float32='f32', bfloat16='bf16', int8='f32')
"""OpenVINO's name of the dtype of all layers that are not quantised."""


def runtime_and_dtype(test_cfg: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the runtime and dtype of ``test_cfg``, by default ``'torch'`` and ``'float32'``.

    Raises an InputError if either is unknown, or OpenVINO is not installed.
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
        import_package('openvino')
    return runtime, dtype


@lru_cache(maxsize=None)
def core() -> Any:
    """Return the process's only OpenVINO core.

    Each core installs a signal stack and restores the previous one when it is destroyed, even if
    the previous one was freed; the next signal then crashes the process (OpenVINO 2026.4).
    """
    return import_package('openvino').Core()


@contextmanager
def computed_by_openvino(
    network: nn.Module, dtype: str, int8: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Context manager: compute a network with OpenVINO; the network's own hooks are called.

    The network is one of this package, or a module with one for each input, in evaluation mode on
    the CPU. It is compiled at its first use and again when its weights, ``out_indices`` or epsilon
    change. After changes through ``.data``, call :func:`forget`. The dtype ``'int8'`` requires the
    quantised network from :func:`to_plain_data`.

    Raises an InputError if OpenVINO is not installed, the network belongs to another package, or
    the CPU or the checkpoint does not support the dtype.
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
    """Context manager: replace a network's ``forward`` by that of its twin."""
    own: Any = network
    own.forward = partial(twin.forward, network, dtype)  # takes precedence over the class's
    try:
        yield
    finally:
        del own.forward


def forget(network: nn.Module) -> None:
    """Discard a compiled network; the next use compiles it again."""
    TWINS.pop(network, None)


def state_of(network: nn.Module) -> list[Any] | None:
    """Return a value that changes with a network's output; None for inference tensors."""
    tensors = [*chain(network.parameters(), network.buffers())]
    if any(tensor.is_inference() for tensor in tensors):
        return None
    streams = [module for module in network.modules() if isinstance(module, VideoResNet)]
    settings = [(tuple(stream.out_indices), norm_eps(stream)) for stream in streams]
    return [*settings, *((tensor.data_ptr(), tensor._version) for tensor in tensors)]


class OpenVinoTwin:
    """OpenVINO's model of a network with certain weights.

    Several clips are computed in parallel streams (OpenVINO's throughput hint); a single clip uses
    all threads. The number of threads is PyTorch's. Compiled models are not cached on disk, because
    loading them takes as long as compiling.
    """

    def __init__(self, model: Any, source: Any, state: list[Any] | None) -> None:
        self.model, self.source, self.state = model, source, state
        self.compiled: dict[tuple[Any, ...], list[Any]] = {}

    def forward(self, network: nn.Module, dtype: str, *args: Tensor, **kwargs: Tensor) -> Any:
        """Compute the network's output for the clips of each stream."""
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
            # No callbacks: they would run Python code in OpenVINO's threads.
            running = [*zip(requests, views[first:])]
            for request, arrays in running:
                request.start_async(arrays)
            for request, _ in running:
                request.wait()
                maps.append([torch.tensor(output.data) for output in request.output_tensors])
        found = tuple(map(torch.cat, zip(*maps)))
        return found if len(found) > 1 else found[0]

    def requests(self, dtype: str, clips: int) -> list[Any]:
        """Return inference requests that can run at the same time, for a number of clips."""
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
"""Compiled models of the networks that still exist."""


def streams_in(network: nn.Module) -> list[VideoResNet]:
    """Return the networks of this package in a module, one for each input."""
    streams = [module for module in network.modules() if isinstance(module, VideoResNet)]
    if not streams:
        raise InputError("test_cfg.runtime='openvino' is for the networks of this package")
    return streams


def convert(network: nn.Module) -> Any:
    """Convert a network to an OpenVINO model for clips of any number and size."""
    streams = streams_in(network)
    examples = tuple(torch.zeros(2, s.in_channels, s.clip_len or 8, 32, 32) for s in streams)
    with torch.no_grad():  # trace here, because OpenVINO's own tracing runs three checks
        traced = torch.jit.freeze(torch.jit.trace(network, examples, check_trace=False))
    return import_package('openvino').convert_model(traced, example_input=examples)


def to_plain_data(model: Any) -> dict[str, Any]:
    """Convert an OpenVINO model to plain data for checkpoints: ``graph`` and ``weights``."""
    with TemporaryDirectory() as folder:
        graph, weights = Path(folder, 'model.xml'), Path(folder, 'model.bin')
        import_package('openvino').serialize(model, graph, weights)
        content = torch.frombuffer(bytearray(weights.read_bytes()), dtype=torch.uint8)
        return dict(graph=graph.read_text('utf-8'), weights=content)


def from_plain_data(data: Mapping[str, Any] | None) -> Any:
    """Load a model from :func:`to_plain_data`; raise an InputError if there is none."""
    if not data:
        remedy = 'write one with r21d quantize'
        raise InputError(f"test_cfg.dtype='int8': the checkpoint has no int8 network: {remedy}")
    try:
        weights = import_package('openvino').Tensor(data['weights'].numpy())
        return core().read_model(data['graph'], weights)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"the checkpoint's int8 network: {first_line(error)}") from error
