# One stream of optical flow.
_base_ = 'recognizer.py'

model = dict(
    backbone=dict(in_channels=2),
    data_preprocessor=dict(mean=[0.0046635, 0.0046261], std=[0.972347, 0.755146]),
)
