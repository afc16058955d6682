# The harder motion dataset (experiments.make_motion --hard), which experiments.study trains on.
_base_ = ['motion.py']

num_classes = 16

_root = 'data/hard_motion'
train_dataloader = dict(
    dataset=dict(
        ann_file=f'{_root}/motion_train_list_videos.txt',
        data_prefix=dict(video=f'{_root}/videos_train'),
        num_classes=num_classes,
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file=f'{_root}/motion_val_list_videos.txt',
        data_prefix=dict(video=f'{_root}/videos_val'),
        num_classes=num_classes,
    )
)
test_dataloader = val_dataloader
