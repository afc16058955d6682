# Shared by all datasets; each adds its annotation files and pipelines. Our VideoDataset is
# LabelledVideoDataset under a name that MMAction2's tools know.
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=False,  # see EpochSeedHook
    sampler=dict(type='r21d_plugin.EpochSizeSampler'),
    # Videos that do not decode are skipped, counted and listed, up to a twentieth of all.
    dataset=dict(type='VideoDataset', _scope_='r21d_plugin', on_error='skip'),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(type='VideoDataset', _scope_='r21d_plugin', test_mode=True),
)
test_dataloader = dict(val_dataloader, batch_size=4)
