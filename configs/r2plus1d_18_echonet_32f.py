# EchoNet-Dynamic: the ejection fraction of the heart, in per cent, from an ultrasound video, by the
# recipe of Ouyang et al., Nature 2020. `r21d prepare echonet` writes its lists to data_root, and
# docs/tasks.md compares this with the authors' code.
_base_ = ['_base_/recognizer.py', '_base_/default_runtime.py', '_base_/dataloaders.py']
from r21d_plugin.engine import finetuning

data_root = 'data/echonet'
clip_len, frame_interval = 32, 2
padding = 12  # largest shift of the frames in training, in pixels
weights = 'torchvision_kinetics_16f'

videos = dict(data_prefix=dict(video=f'{data_root}/videos'), num_classes=1, targets='numbers')
train_videos, val_videos, test_videos = (
    dict(videos, ann_file=f'{data_root}/echonet_{name}_list_videos.txt')
    for name in ('train', 'val', 'test')
)
mean, std = finetuning.mean_and_std(train_videos)
network, load_from, clip_input = finetuning.pretrained('r2plus1d_18', weights)
model = dict(
    backbone=network['backbone'],
    cls_head=dict(
        network['cls_head'],
        num_classes=1,
        init_std=0.0255,  # of nn.Linear's default, which the authors use
        # The mean of the training list is added to the output, where the authors' code begins with
        # a bias of 55.6. That is the same, up to the weight decay of their bias.
        target_std=1.0,
        loss_cls=dict(type='r21d_plugin.RegressionLoss'),
    ),
    data_preprocessor=dict(mean=mean, std=std),
)

open_video = dict(type='r21d_plugin.OpenVideo')
sample = dict(
    type='r21d_plugin.SampleFramesOfClips', clip_len=clip_len, frame_interval=frame_interval
)
read = dict(type='r21d_plugin.ReadFrames', scale=None)  # frames stay at 112 x 112 pixels
shift = dict(type='r21d_plugin.RandomShift', padding=padding, fill=mean)
form = dict(type='FormatShape', input_format='NCTHW')
pack = dict(type='PackActionInputs')
named = dict(pack, meta_keys=('img_shape', 'filename'))
train_pipeline = [dict(open_video, strict=False), sample, read, shift, form, pack]
val_pipeline = [open_video, dict(sample, test_mode=True), read, form, named]
every_clip = dict(sample, num_clips='all', test_mode=True)
test_pipeline = [open_video, every_clip, read, form, named]
train_dataloader = dict(
    batch_size=20, drop_last=True, dataset=dict(train_videos, pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=20, dataset=dict(val_videos, pipeline=val_pipeline))
test_dataloader = dict(batch_size=1, dataset=dict(test_videos, pipeline=test_pipeline))
val_evaluator = dict(type='r21d_plugin.RegressionMetric')
test_evaluator = dict(type='r21d_plugin.RegressionMetric', resamples=10_000)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=45, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(enable=True, base_batch_size=20)
param_scheduler = [dict(type='StepLR', step_size=15, gamma=0.1)]
default_hooks = dict(checkpoint=dict(save_best='RMSE', rule='less'))
