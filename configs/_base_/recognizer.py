# One stream of RGB. A row of the paper adds its backbone and number of classes.
model = dict(
    type='r21d_plugin.MultiClipRecognizer',
    cls_head=dict(type='r21d_plugin.ClipHead', in_channels=512),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[110.201, 100.64, 95.9966],
        std=[58.1489, 56.4701, 55.3324],
        format_shape='NCTHW',
    ),
    test_cfg=dict(max_testing_views=10),
)
