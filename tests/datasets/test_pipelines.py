"""The values that pipelines of configs refuse."""

import pytest

from r21d_plugin import InputError
from r21d_plugin.datasets.pipelines import clip_pipelines


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(flip=1.5), 'flip=1.5: give a probability'),
        (dict(crop_area=(0.5, 0.2)), r'crop_area=\(0\.5, 0\.2\): give two fractions'),
        (dict(color=2), 'color=2: give a fraction'),
        (dict(color=0.5, stream='flow'), 'color=0.5: flow has none'),
        (dict(stream='depth'), "stream='depth': use 'rgb', 'flow' or 'twostream'"),
        (dict(flow_root='flow'), "flow_root='flow': no flow in stream='rgb': use another stream"),
        (dict(target_fps=0), 'target_fps=0'),
        (dict(clip_len=0), 'clip_len=0'),
    ],
)
def test_wrong_values(values, message):
    with pytest.raises(InputError, match=message):
        clip_pipelines(**{'clip_len': 8, **values})
