# UCF101 in MMAction2's folder layout. The environment variable SPLIT chooses
# one of its three splits (1); tools/run_splits.py runs all. Batches and epochs
# are those of the authors' release: 4 clips per GPU, 100,000 per epoch.
_base_ = 'benchmark.py'

data_root = 'data/ucf101'
split = '{{$SPLIT:1}}'
num_classes = 101
train_videos = dict(
    ann_file=f'{data_root}/ucf101_train_split_{split}_videos.txt',
    data_prefix=dict(video=f'{data_root}/videos'),
    num_classes=num_classes,
)
val_videos = dict(train_videos, ann_file=f'{data_root}/ucf101_val_split_{split}_videos.txt')

train_dataloader = dict(
    batch_size=4,
    sampler=dict(epoch_sizes={'ucf101_train_split_*_videos.txt': 100_000}),
    dataset=train_videos,
)
val_dataloader = dict(dataset=val_videos)
test_dataloader = dict(dataset=val_videos)
