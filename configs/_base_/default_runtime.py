default_scope = 'mmaction'
custom_imports = dict(imports=['r21d_plugin.registry'])

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='r21d_plugin.ResumableCheckpointHook',
        interval=1,
        max_keep_ckpts=3,
        save_best='video@1',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'),
    accelerate=dict(type='r21d_plugin.AccelerateHook'),
    epoch_seed=dict(type='r21d_plugin.EpochSeedHook'),
    training_accuracy=dict(type='r21d_plugin.TrainingAccuracyHook'),
    checkpoint_match=dict(type='r21d_plugin.CheckpointMatchHook'),
    task=dict(type='r21d_plugin.TaskHook'),
    finite_loss=dict(type='r21d_plugin.FiniteLossHook'),
    skipped_videos=dict(type='r21d_plugin.SkippedVideosHook'),
)

env_cfg = dict(
    cudnn_benchmark=True,  # clips are all of one size
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)

log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='ActionVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False

val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
val_evaluator = dict(type='r21d_plugin.ClipVideoAccuracy')
test_evaluator = val_evaluator
