# R(2+1)D-152 on RGB, initialised with weights that VMZ publishes.
_base_ = 'recognizer.py'

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=152),
    cls_head=dict(in_channels=2048),
)
ig65m = (
    'https://www.dropbox.com/s/oqdg176p7nqc84v/'
    'r2plus1d_152_ig65m_from_scratch_f106380637.pkl?dl=1'
    '#/r2plus1d_152_ig65m_from_scratch_f106380637.pkl'
)
sports1m = (
    'https://www.dropbox.com/s/w5cdqeyqukuaqt7/'
    'r2plus1d_152_sports1m_from_scratch_f127111290.pkl?dl=1'
    '#/r2plus1d_152_sports1m_from_scratch_f127111290.pkl'
)
