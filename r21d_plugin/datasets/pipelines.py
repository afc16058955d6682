"""Build the paper's data pipelines (Section 4.1) from clip length, crop size and so on.

A config that imports this module has to assign ``_base_`` first; otherwise MMEngine treats it as
one of its pure Python configs.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List

from .._errors import InputError, check_whole
from .checks import check_rate, check_scale

__all__ = ['clip_pipelines', 'dataloaders']

Pipeline = List[Dict[str, Any]]

# MMAction2's and this package's names of transforms that sample frames
SAMPLERS = ('SampleFramesOfClips', 'SampleClips', 'SampleFrames')
OPENERS = ('DecordInit', 'PyAVInit', 'OpenCVInit', 'PIMSInit')
COLORS = ('brightness', 'contrast', 'saturation')
DECODERS = ('DecordDecode', 'PyAVDecode', 'OpenCVDecode', 'PIMSDecode', 'RawFrameDecode')


def clip_pipelines(
    clip_len: int,
    stream: str = 'rgb',
    test_clips: int = 10,
    frame_interval: int = 1,
    scale: tuple[int, int] = (171, 128),
    crop: int = 112,
    flip: float = 0.5,
    flow_root: str | None = None,
    target_fps: float | None = None,
    crop_area: tuple[float, float] | None = None,
    color: float = 0.0,
) -> tuple[Pipeline, Pipeline, Pipeline]:
    """Build the pipelines of training, validation and test.

    Training takes a clip at a random start, cropped and mirrored at random; damaged videos are used
    if the damage does not affect the clip. Validation takes the middle clip, and a test takes
    several clips.

    Args:
        clip_len (int): Frames per clip.
        stream (str): ``'rgb'``, ``'flow'`` or ``'twostream'``, which packs ``imgs`` and ``flow``.
            Defaults to ``'rgb'``.
        test_clips (int): Test clips, spread evenly over the video. Defaults to 10.
        frame_interval (int): Step between the frames of a clip. Defaults to 1.
        scale (tuple[int, int]): Width and height of the resized frames, or -1 and their shorter
            side, which keeps the aspect ratio. Defaults to (171, 128).
        crop (int): Height and width of the crop, at most those of the frames. Defaults to 112.
        flip (float): Probability of mirroring a clip in training. Defaults to 0.5.
        flow_root (str, optional): Folder of stored flow. Defaults to None: flow is computed.
        target_fps (float, optional): Frame rate of the clips, to which ``frame_interval`` then
            refers. Defaults to None: the rate of each video.
        crop_area (tuple[float, float], optional): Smallest and largest fraction of a frame's area
            for random training crops with aspect ratios from 3:4 to 4:3, which are resized to
            ``crop``. Defaults to None: a square of ``crop`` pixels.
        color (float): Largest relative change of brightness, contrast and saturation in training,
            0 to 1. Defaults to 0.

    Raises:
        InputError: If a value is invalid.
    """
    counts = dict(clip_len=clip_len, test_clips=test_clips, frame_interval=frame_interval)
    for name, value in dict(counts, crop=crop).items():
        check_whole(name, value)
    check_scale(scale)
    if target_fps is not None:
        check_rate('target_fps', target_fps)
    if not 0 <= flip <= 1:
        raise InputError(f'flip={flip!r}: give a probability, 0 to 1')
    if crop_area is not None and not 0 < crop_area[0] <= crop_area[1] <= 1:
        raise InputError(f'crop_area={crop_area!r}: give two fractions of a frame, above 0 to 1')
    if not 0 <= color <= 1:
        raise InputError(f'color={color!r}: give a fraction, 0 to 1')
    if color and stream != 'rgb':
        raise InputError(f'color={color!r}: flow has none: use 0')
    if stream not in ('rgb', 'flow', 'twostream'):
        raise InputError(f"stream={stream!r}: use 'rgb', 'flow' or 'twostream'")
    if flow_root is not None and stream == 'rgb':
        raise InputError(f"flow_root={flow_root!r}: no flow in stream='rgb': use another stream")
    sampling = dict(type='r21d_plugin.SampleFramesOfClips', clip_len=clip_len)
    read: dict[str, Any] = dict(type='r21d_plugin.ReadFrames', scale=scale)
    flow = dict(type='r21d_plugin.FarnebackFlow')
    formatting: Pipeline = [dict(type='FormatShape', input_format='NCTHW')]
    pack: dict[str, Any] = dict(type='PackActionInputs')
    if stream != 'rgb':
        sampling['flow_gap'] = 1
    if frame_interval != 1:
        sampling['frame_interval'] = frame_interval
    if target_fps is not None:
        sampling['target_fps'] = target_fps
    if flow_root is not None:
        flow['root'] = flow_root
        if stream == 'flow':
            read['decode'] = False
    if stream == 'flow':
        formatting.insert(0, flow)
    elif stream == 'twostream':
        both = dict(mapping=dict(imgs=['imgs', 'flow']), auto_remap=True, transforms=formatting)
        formatting = [dict(flow, key='flow'), dict(type='TransformBroadcaster', **both)]
        pack['collect_keys'] = ('imgs', 'flow')

    def pipeline(
        cut: Pipeline, packing: dict[str, Any], strict: bool = True, **clips: object
    ) -> Pipeline:
        open_video = dict(type='r21d_plugin.OpenVideo', strict=strict)
        sample = dict(sampling, **clips)
        return deepcopy([open_video, sample, read, *cut, *formatting, dict(pack, **packing)])

    random: Pipeline = [dict(type='RandomCrop', size=crop)]
    if crop_area is not None:
        cut = dict(type='RandomResizedCrop', area_range=crop_area)
        random = [cut, dict(type='Resize', scale=(crop, crop), keep_ratio=False)]
    if color:
        random.append(dict(type='ColorJitter', **dict.fromkeys(COLORS, color), hue=0))
    if flip:
        random.append(dict(type='Flip', flip_ratio=flip))
    centre = [dict(type='CenterCrop', crop_size=crop)]
    named = dict(meta_keys=('img_shape', 'filename'))
    return (
        pipeline(random, {}, strict=False),
        pipeline(centre, named, num_clips=1, test_mode=True),
        pipeline(centre, named, num_clips=test_clips, test_mode=True),
    )


def dataloaders(*pipelines: Pipeline) -> tuple[dict[str, Any], ...]:
    """Return the dataloader settings that assign a pipeline to each."""
    return tuple(dict(dataset=dict(pipeline=pipeline)) for pipeline in pipelines)


def for_videos(pipeline: Pipeline) -> Pipeline:
    """Copy a pipeline, and replace MMAction2's transforms that open and decode by ours.

    The result also reads video files if the original reads folders of frames, and errors name the
    video.
    """
    names = [name_of(step) for step in pipeline]
    if not {*names} & {*OPENERS, *DECODERS}:
        return deepcopy(pipeline)
    read = dict(type='r21d_plugin.ReadFrames', scale=None)
    steps = [
        dict(read) if name in DECODERS else deepcopy(step)
        for name, step in zip(names, pipeline)
        if name not in OPENERS
    ]
    return [dict(type='r21d_plugin.OpenVideo'), *steps]


def update_transform(pipeline: Pipeline, *names: str, **arguments: object) -> Pipeline:
    """Copy a pipeline, and update the arguments of the first transform with one of the names."""
    pipeline = deepcopy(pipeline)
    pipeline[find_transform(pipeline, *names)].update(arguments)
    return pipeline


def find_transform(pipeline: Pipeline, *names: str) -> int:
    """Return the index of the first transform with one of the names (without scope).

    Raises an InputError if there is none.
    """
    types = [name_of(transform) for transform in pipeline]
    for index, name in enumerate(types):
        if name in names:
            return index
    raise InputError(f'the pipeline has no {" or ".join(names)}: it has {", ".join(types)}')


def name_of(transform: dict[str, Any]) -> str:
    """Return the name of a transform's class, without scope."""
    kind = transform['type']
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__
