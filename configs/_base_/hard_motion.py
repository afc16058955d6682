# The harder motion dataset (experiments.make_motion --hard), which experiments.study trains on.
_base_ = ['motion.py']

data_root = 'data/hard_motion'
num_classes = 16

train_dataloader = dict(
    dataset=dict(
        ann_file=f'{data_root}/motion_train_list_videos.txt',
        data_prefix=dict(video=f'{data_root}/videos_train'),
        num_classes=num_classes,
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file=f'{data_root}/motion_val_list_videos.txt',
        data_prefix=dict(video=f'{data_root}/videos_val'),
        num_classes=num_classes,
    )
)
test_dataloader = val_dataloader
