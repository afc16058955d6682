# Kinetics-400 in MMAction2's folder layout. Section 4.1: an epoch is 1M clips.
_base_ = 'benchmark.py'

num_classes = 400
train_videos = dict(
    ann_file='data/kinetics400/kinetics400_train_list_videos.txt',
    data_prefix=dict(video='data/kinetics400/videos_train'),
    num_classes=num_classes,
)
val_videos = dict(
    ann_file='data/kinetics400/kinetics400_val_list_videos.txt',
    data_prefix=dict(video='data/kinetics400/videos_val'),
    num_classes=num_classes,
)

train_dataloader = dict(
    sampler=dict(epoch_sizes={'kinetics400_train_list_videos.txt': 1_000_000}),
    dataset=train_videos,
)
val_dataloader = dict(dataset=val_videos)
test_dataloader = dict(dataset=val_videos)
