# RGB and flow. A row of the paper adds two backbones and the number of classes.
_base_ = 'recognizer.py'

model = dict(
    _delete_=True,
    type='r21d_plugin.TwoStreamRecognizer',
    backbone=dict(
        type='r21d_plugin.TwoStreamBackbone',
        rgb=dict(),
        flow=dict(in_channels=2),
    ),
    cls_head=dict(type='r21d_plugin.TwoStreamHead', in_channels=512),
    data_preprocessor=dict(
        type='MultiModalDataPreprocessor',
        preprocessors=dict(
            imgs=_base_.model.data_preprocessor,
            flow=dict(
                type='ActionDataPreprocessor',
                mean=[0.0046635, 0.0046261],
                std=[0.972347, 0.755146],
                format_shape='NCTHW',
            ),
        ),
    ),
    test_cfg=_base_.model.test_cfg,
)
