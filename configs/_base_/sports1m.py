# Sports-1M. Its videos have several labels and last minutes, so a test takes 100 clips
# of each (Section 4.4). An epoch is 1M clips, as with Kinetics.
_base_ = 'benchmark.py'
from r21d_plugin.datasets import pipelines

data_root = 'data/sports1m'
num_classes = 487
train_videos = dict(
    ann_file=f'{data_root}/sports1m_train_list_videos.txt',
    data_prefix=dict(video=f'{data_root}/videos'),
    num_classes=num_classes,
    multi_class=True,
)
test_videos = dict(train_videos, ann_file=f'{data_root}/sports1m_test_list_videos.txt')
clip_len = 8
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len, test_clips=100)

train_dataloader = dict(
    sampler=dict(epoch_sizes={'sports1m_train_list_videos.txt': 1_000_000}),
    dataset=train_videos,
)
val_dataloader = dict(dataset=test_videos)
test_dataloader = dict(batch_size=1, dataset=dict(test_videos, pipeline=test_pipeline))
