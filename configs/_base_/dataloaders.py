# What all datasets share; each adds its annotation files and pipelines.
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=False,  # see EpochSeedHook
    sampler=dict(type='r21d_plugin.EpochSizeSampler'),
    dataset=dict(type='r21d_plugin.LabelledVideoDataset'),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(type='r21d_plugin.LabelledVideoDataset', test_mode=True),
)
test_dataloader = dict(val_dataloader, batch_size=4)
