# Finetuning on own videos, which `r21d prepare folder` listed in data_root. A finetuning config
# adds weights and their network. The names below can be overridden, such as
# --cfg-options data_root=data/mine flip=0; docs/finetuning.md explains them.
_base_ = ['recognizer.py', 'default_runtime.py', 'dataloaders.py']
import os

from r21d_plugin._compat import process_cpu_count
from r21d_plugin.engine import finetuning

data_root = 'data/mine'
targets, training_videos, videos = finetuning.read_folder(data_root)
ordered = False  # True: the classes are ordered, such as grades
task = finetuning.choose_task(targets, ordered, data_root)
metric, best, rule = finetuning.metric_of(task)
num_classes = len(videos)  # or labels, or numbers
epochs = 10
clips = 1000 + 20 * training_videos  # clips that training sees, in all epochs
batch_size = 8
lr = 0.005
num_workers = min(8, process_cpu_count())
patience = 5  # epochs without a better value before training ends
frozen_stages = -1  # groups that are not trained: -1: none; 0: conv1; 1: conv2_x too; ... 4: all
dropout = 0.0 if task == 'numbers' else 0.5
class_weight = None  # 'auto': the rarer a class, the more its videos count
label_smoothing = 0.1 if task == 'one class' and class_weight is None else 0.0
flip = 0.5  # probability of a mirror image; 0 where left and right are classes
crop_area = (0.4, 1.0)  # smallest and largest part of a frame that a clip shows
color = 0.2  # brightness, contrast and saturation change by at most this part
augmentation = dict(flip=flip, crop_area=crop_area, color=color)

model = dict(
    backbone=dict(frozen_stages=frozen_stages),
    cls_head=dict(
        num_classes=num_classes,
        dropout_ratio=dropout,
        label_smooth_eps=label_smoothing,
        loss_cls=finetuning.loss_of(task, videos, class_weight, label_smoothing),
    ),
)
train_videos = dict(
    ann_file=f'{data_root}/train.txt',
    data_prefix=dict(video=f'{data_root}/videos'),
    num_classes=num_classes,
    targets=targets,
)
val_videos = dict(train_videos, ann_file=f'{data_root}/val.txt')
test_list = 'test' if os.path.exists(f'{data_root}/test.txt') else 'val'
test_videos = dict(train_videos, ann_file=f'{data_root}/{test_list}.txt')
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    sampler=dict(epoch_size=max(clips // epochs, batch_size)),
    dataset=train_videos,
)
val_dataloader = dict(batch_size=batch_size, num_workers=num_workers, dataset=val_videos)
test_dataloader = dict(batch_size=1, num_workers=num_workers, dataset=test_videos)
val_evaluator = dict(type=metric)
test_evaluator = dict(type=metric)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=lr, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'cls_head': dict(lr_mult=10)}),
    clip_grad=dict(max_norm=40),
)
auto_scale_lr = dict(enable=True, base_batch_size=8)
warmup = dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True)
decay = dict(
    type='CosineAnnealingLR',
    begin=min(1, epochs - 1),
    end=epochs,
    T_max=max(1, epochs - 1),
    convert_to_iter_based=True,
)
param_scheduler = [warmup, decay] if epochs > 1 else [decay]
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=1, save_best=best, rule=rule),
    early_stopping=dict(
        type='r21d_plugin.ResumableEarlyStoppingHook',
        monitor=best,
        rule=rule,
        patience=patience,
        min_delta=0,
    ),
    training_time=dict(type='r21d_plugin.TrainingTimeHook'),
)
