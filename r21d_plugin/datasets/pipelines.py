"""The pipelines of the paper's clips (Section 4.1), built from their numbers.

A config that imports this has to assign ``_base_`` first, or MMEngine takes it for one of its pure
Python configs.
"""

from copy import deepcopy

from .._errors import InputError

Pipeline = list[dict]


def clip_pipelines(
    clip_len: int,
    stream: str = 'rgb',
    test_clips: int = 10,
    frame_interval: int = 1,
    scale: tuple[int, int] = (171, 128),
    crop: int = 112,
    flip: float = 0.5,
    flow_root: str | None = None,
) -> tuple[Pipeline, Pipeline, Pipeline]:
    """Build the pipelines of training, validation and test.

    Training takes a clip at a random start, cropped and mirrored at random; validation the middle
    clip; a test ``test_clips`` clips spread evenly over the video.

    Args:
        clip_len (int): Frames of a clip.
        stream (str): ``'rgb'``, ``'flow'`` (computed after crop and flip), or ``'twostream'``,
            packed as ``imgs`` and ``flow``. Defaults to ``'rgb'``.
        test_clips (int): Clips of a video in a test. Defaults to 10.
        frame_interval (int): Step between the frames of a clip. Defaults to 1.
        scale (tuple[int, int]): Width and height that frames are resized to. Defaults to (171,
            128).
        crop (int): Height and width of the crop. Defaults to 112.
        flip (float): Probability of a mirror image in training. Defaults to 0.5.
        flow_root (str, optional): Folder of stored flow (``tools/data/extract_flow.py``), which is
            read instead of computed. Defaults to None.

    Returns:
        tuple[list[dict], list[dict], list[dict]]: Pipelines of training, validation and test.

    Raises:
        InputError: If there is no such stream.
    """
    if stream not in ('rgb', 'flow', 'twostream'):
        raise InputError(f"stream={stream!r}: use 'rgb', 'flow' or 'twostream'")
    only_flow_is_read = stream == 'flow' and flow_root is not None
    inputs = dict(collect_keys=('imgs', 'flow')) if stream == 'twostream' else {}

    def pipeline(cut: Pipeline, pack: dict, **sampling: object) -> Pipeline:
        sampling |= {} if stream == 'rgb' else dict(flow_gap=1)
        if frame_interval != 1:
            sampling['frame_interval'] = frame_interval
        decode = dict(type='r21d_plugin.DecordClipDecode', scale=scale)
        return [
            dict(type='r21d_plugin.DecordClipInit'),
            dict(type='r21d_plugin.SampleClips', clip_len=clip_len, **sampling),
            dict(decode, decode=False) if only_flow_is_read else decode,
            *cut,
            *flow_and_format(stream, flow_root),
            dict(type='PackActionInputs', **inputs, **pack),
        ]

    random = [dict(type='RandomCrop', size=crop)]
    if flip:
        random.append(dict(type='Flip', flip_ratio=flip))
    centre = [dict(type='CenterCrop', crop_size=crop)]
    named = dict(meta_keys=('img_shape', 'filename'))
    return (
        pipeline(random, {}),
        pipeline(centre, named, num_clips=1, test_mode=True),
        pipeline(centre, named, num_clips=test_clips, test_mode=True),
    )


def flow_and_format(stream: str, flow_root: str | None) -> Pipeline:
    """The steps that compute or read flow and bring clips into the form N x C x T x H x W."""
    formatting = dict(type='FormatShape', input_format='NCTHW')
    if stream == 'rgb':
        return [formatting]
    flow = dict(type='r21d_plugin.FarnebackFlow')
    if flow_root is not None:
        flow['root'] = flow_root
    if stream == 'flow':
        return [flow, formatting]
    both = dict(
        type='TransformBroadcaster',
        mapping=dict(imgs=['imgs', 'flow']),
        auto_remap=True,
        transforms=[formatting],
    )
    return [dict(flow, key='flow'), both]


def dataloaders(*pipelines: Pipeline) -> tuple[dict, ...]:
    """What a config changes in its dataloaders to give each its pipeline."""
    return tuple(dict(dataset=dict(pipeline=pipeline)) for pipeline in pipelines)


def update_transform(pipeline: Pipeline, name: str, **arguments: object) -> Pipeline:
    """Copy a pipeline, with other arguments of one transform.

    Args:
        pipeline (list[dict]): The pipeline, which stays as it is.
        name (str): Type of the transform, without scope.
        **arguments (object): The arguments to change.

    Raises:
        InputError: If there is no such transform.
    """
    pipeline = deepcopy(pipeline)
    pipeline[find_transform(pipeline, name)].update(arguments)
    return pipeline


def find_transform(pipeline: Pipeline, name: str) -> int:
    """Index of the first transform of a type, named without scope.

    Raises:
        InputError: If there is none.
    """
    types = [transform['type'].split('.')[-1] for transform in pipeline]
    if name not in types:
        raise InputError(f'the pipeline has no {name}: it has {", ".join(types)}')
    return types.index(name)
