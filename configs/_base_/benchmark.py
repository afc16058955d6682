# What the paper's four benchmarks have in common: the clips (8 frames here) of
# Section 4.1. Each adds its annotation files.
_base_ = ['default_runtime.py', 'dataloaders.py']

train_pipeline = [
    dict(type='r21d_plugin.DecordClipInit'),
    dict(type='r21d_plugin.SampleClips', clip_len=8),
    dict(type='r21d_plugin.DecordClipDecode', scale=(171, 128)),
    dict(type='RandomCrop', size=112),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='r21d_plugin.DecordClipInit'),
    dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=1, test_mode=True),
    dict(type='r21d_plugin.DecordClipDecode', scale=(171, 128)),
    dict(type='CenterCrop', crop_size=112),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('img_shape', 'filename')),
]
test_pipeline = [
    dict(type='r21d_plugin.DecordClipInit'),
    dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=10, test_mode=True),
    *val_pipeline[2:],
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
