"""The videos of the beating discs have the ejection fractions that their list names."""

import cv2
import numpy as np
import pytest

from experiments.beating_discs import render


@pytest.mark.parametrize('fraction', [0.2, 0.5, 0.8])
def test_the_area_beats(fraction):
    for seed in range(3):
        frames = render(fraction, np.random.default_rng(seed))
        assert frames.shape == (96, 112, 112)
        areas = [(cv2.GaussianBlur(frame, (0, 0), 2) < 85).sum() for frame in frames]
        assert 1 - min(areas) / max(areas) == pytest.approx(fraction, abs=0.05)
