"""Variants of a pipeline: other clip lengths, flow, two streams.

MMEngine cannot merge into the lists that pipelines are, so configs derive
theirs from those of their dataset with these functions. A config that imports
something has to assign ``_base_`` first, or MMEngine takes it for one of its
pure Python ones.
"""

import re
from collections.abc import Callable
from copy import deepcopy

from .._errors import InputError

Pipeline = list[dict]
STORABLE = re.compile(
    'DecordClipInit SampleClips DecordClipDecode( RandomCrop| CenterCrop)?( Flip)?'
)
FORMAT = dict(type='FormatShape', input_format='NCTHW')


def variants(base: dict, clip_len: int, stream: str = 'rgb') -> tuple[Pipeline, ...]:
    """Derive the pipelines of a config from those of its dataset.

    Args:
        base (dict): What the config inherits, its ``_base_``.
        clip_len (int): Frames of a clip.
        stream (str): ``'rgb'``, ``'flow'`` or ``'twostream'``. Defaults to
            ``'rgb'``.

    Returns:
        tuple[list[dict], ...]: Pipelines of training, validation and test.
    """
    given = (base['train_pipeline'], base['val_pipeline'], base['test_pipeline'])
    resampled = (with_sampling(pipeline, clip_len=clip_len) for pipeline in given)
    return tuple(STREAMS[stream](pipeline) for pipeline in resampled)


def dataloaders(*pipelines: Pipeline) -> tuple[dict, ...]:
    """What a config changes in its dataloaders to give each its pipeline."""
    return tuple(dict(dataset=dict(pipeline=pipeline)) for pipeline in pipelines)


def with_sampling(pipeline: Pipeline, **arguments: object) -> Pipeline:
    """Pipeline with other arguments of ``SampleClips``."""
    return changed(pipeline, 'SampleClips', lambda sample: [dict(sample, **arguments)])


def with_storage(pipeline: Pipeline, **backend: object) -> Pipeline:
    """Pipeline that reads videos through one of MMEngine's storage backends.

    Args:
        pipeline (list[dict]): A pipeline with ``DecordClipInit``.
        **backend (object): ``io_backend`` and the arguments of that backend,
            such as ``db_path`` of LMDB.
    """
    return changed(pipeline, 'DecordClipInit', lambda init: [dict(init, **backend)])


def with_flow(pipeline: Pipeline) -> Pipeline:
    """Pipeline of flow instead of RGB, computed after crop and flip."""
    return _flow(pipeline, [dict(type='r21d_plugin.FarnebackFlow'), FORMAT])


def with_two_streams(pipeline: Pipeline) -> Pipeline:
    """Pipeline of RGB and flow, packed as ``imgs`` and ``flow``."""
    flow = dict(type='r21d_plugin.FarnebackFlow', key='flow')
    both = dict(
        type='TransformBroadcaster',
        mapping=dict(imgs=['imgs', 'flow']),
        auto_remap=True,
        transforms=[FORMAT],
    )
    pipeline = _flow(pipeline, [flow, both])
    return changed(
        pipeline, 'PackActionInputs', lambda pack: [dict(pack, collect_keys=('imgs', 'flow'))]
    )


def with_stored_flow(pipeline: Pipeline, root: str) -> Pipeline:
    """Pipeline that reads flow instead of computing it.

    Where flow is all that it gives, the video is not even opened.

    Args:
        pipeline (list[dict]): A pipeline with ``FarnebackFlow``, after one
            crop at most and then one flip at most.
        root (str): See :class:`~r21d_plugin.datasets.OpenStoredFlow`.

    Raises:
        InputError: If the pipeline is another.
    """
    names = [transform['type'].split('.')[-1] for transform in pipeline]
    order = ' '.join(names[: names.index('FarnebackFlow')]) if 'FarnebackFlow' in names else ''
    if not STORABLE.fullmatch(order):
        raise InputError(
            'stored flow needs a pipeline of DecordClipInit, SampleClips, DecordClipDecode, one '
            f'crop, Flip and FarnebackFlow: this one has {", ".join(names)}'
        )
    init, _, decode, *_ = pipeline
    scale = {key: decode[key] for key in decode if key == 'scale'}
    opened = dict(type='r21d_plugin.OpenStoredFlow', root=root, **scale)
    flow = dict(pipeline[names.index('FarnebackFlow')], type='r21d_plugin.StoredFlow')
    pipeline = changed(pipeline, 'FarnebackFlow', lambda _: [flow])
    if flow.get('key', 'imgs') != 'imgs':
        return changed(pipeline, 'DecordClipInit', lambda _: [init, opened])
    pipeline = changed(pipeline, 'DecordClipInit', lambda _: [opened])
    return changed(pipeline, 'DecordClipDecode', lambda _: [])


def _flow(pipeline: Pipeline, formatting: Pipeline) -> Pipeline:
    pipeline = with_sampling(pipeline, flow_gap=1)
    return changed(pipeline, 'FormatShape', lambda _: formatting)


def changed(pipeline: Pipeline, name: str, change: Callable[[dict], Pipeline]) -> Pipeline:
    """Pipeline with a transform replaced by others.

    Args:
        pipeline (list[dict]): The pipeline, which stays as it is.
        name (str): Type of the transform, without scope.
        change (Callable): Function from the transform to those in its place.

    Raises:
        InputError: If there is no such transform.
    """
    types = [transform['type'].split('.')[-1] for transform in pipeline]
    if name not in types:
        raise InputError(f'the pipeline has no {name}: it has {", ".join(types)}')
    at = types.index(name)
    return deepcopy([*pipeline[:at], *change(pipeline[at]), *pipeline[at + 1 :]])


STREAMS: dict[str, Callable[[Pipeline], Pipeline]] = {
    'rgb': deepcopy,
    'flow': with_flow,
    'twostream': with_two_streams,
}
"""What turns a pipeline of RGB into one of each kind of input."""
