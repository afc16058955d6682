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
    clip; a test several.

    Args:
        clip_len (int): Frames of a clip.
        stream (str): ``'rgb'``, ``'flow'`` or ``'twostream'``, which packs ``imgs`` and ``flow``.
            Defaults to ``'rgb'``.
        test_clips (int): Clips of a test, spread evenly over the video. Defaults to 10.
        frame_interval (int): Step between the frames of a clip. Defaults to 1.
        scale (tuple[int, int]): Width and height of the resized frames. Defaults to (171, 128).
        crop (int): Height and width of the crop. Defaults to 112.
        flip (float): Probability of a mirror image in training. Defaults to 0.5.
        flow_root (str, optional): Folder of stored flow. Defaults to None: flow is computed.
    """
    if stream not in ('rgb', 'flow', 'twostream'):
        raise InputError(f"stream={stream!r}: use 'rgb', 'flow' or 'twostream'")
    sampling = dict(type='r21d_plugin.SampleClips', clip_len=clip_len)
    decode: dict = dict(type='r21d_plugin.DecordClipDecode', scale=scale)
    flow = dict(type='r21d_plugin.FarnebackFlow')
    formatting: Pipeline = [dict(type='FormatShape', input_format='NCTHW')]
    pack: dict = dict(type='PackActionInputs')
    if stream != 'rgb':
        sampling['flow_gap'] = 1
    if frame_interval != 1:
        sampling['frame_interval'] = frame_interval
    if flow_root is not None:
        flow['root'] = flow_root
        decode |= dict(decode=False) if stream == 'flow' else {}
    if stream == 'flow':
        formatting.insert(0, flow)
    elif stream == 'twostream':
        both = dict(mapping=dict(imgs=['imgs', 'flow']), auto_remap=True, transforms=formatting)
        formatting = [dict(flow, key='flow'), dict(type='TransformBroadcaster', **both)]
        pack['collect_keys'] = ('imgs', 'flow')

    def pipeline(cut: Pipeline, packing: dict, **clips: object) -> Pipeline:
        init = dict(type='r21d_plugin.DecordClipInit')
        sample = dict(sampling, **clips)
        return deepcopy([init, sample, decode, *cut, *formatting, dict(pack, **packing)])

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


def dataloaders(*pipelines: Pipeline) -> tuple[dict, ...]:
    """What a config changes in its dataloaders to give each its pipeline."""
    return tuple(dict(dataset=dict(pipeline=pipeline)) for pipeline in pipelines)


def update_transform(pipeline: Pipeline, name: str, **arguments: object) -> Pipeline:
    """Copy a pipeline, with other arguments of the transform of this name (without scope)."""
    pipeline = deepcopy(pipeline)
    pipeline[find_transform(pipeline, name)].update(arguments)
    return pipeline


def find_transform(pipeline: Pipeline, name: str) -> int:
    """Index of the first transform of this name (without scope); an InputError if there is none."""
    types = [transform['type'].split('.')[-1] for transform in pipeline]
    if name not in types:
        raise InputError(f'the pipeline has no {name}: it has {", ".join(types)}')
    return types.index(name)
