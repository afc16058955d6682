# Kinetics-400 in MMAction2's folder layout. Section 4.1: an epoch is 1M clips.
_base_ = 'benchmark.py'

data_root = 'data/kinetics400'
num_classes = 400
train_videos = dict(
    ann_file=f'{data_root}/kinetics400_train_list_videos.txt',
    data_prefix=dict(video=f'{data_root}/videos_train'),
    num_classes=num_classes,
)
val_videos = dict(
    ann_file=f'{data_root}/kinetics400_val_list_videos.txt',
    data_prefix=dict(video=f'{data_root}/videos_val'),
    num_classes=num_classes,
)

train_dataloader = dict(
    sampler=dict(epoch_sizes={'kinetics400_train_list_videos.txt': 1_000_000}),
    dataset=train_videos,
)
val_dataloader = dict(dataset=val_videos)
test_dataloader = dict(dataset=val_videos)
