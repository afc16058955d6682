"""Presets that compute features exactly as other tools expect them.

All presets resize frames to 171 x 128 in floating point, crop 112 x 112 at torchvision's position,
normalise by torchvision's constants for Kinetics, and drop an incomplete clip at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from .._errors import InputError
from ..datasets.pipelines import SAMPLERS, Pipeline, clip_pipelines, find_transform
from .video_inputs import pipeline_of

MEAN = [255 * value for value in (0.43216, 0.394666, 0.37645)]
STD = [255 * value for value in (0.22803, 0.22145, 0.216989)]


class Preset(NamedTuple):
    """Settings of a tool's features; the defaults are those of a config's test."""

    exact: bool = False  # whether resize, crop and normalisation are the tool's, not the config's
    clip_len: int | None = None  # frames per clip, and stride; None: as in the config's test
    target_fps: float | None = None  # frames per second; None: the rate of the video
    crops: int = 1  # per frame: 1 (the centre) or 10
    keep: tuple[str, ...] = ()  # axes that are not averaged, as in r21d features --keep
    segments: int = 0  # of a video, whose clips are averaged; 0: keep the clips
    suffix: str | None = None  # of feature names, for the video's extension; None: keep it

    def pipeline(self, cfg: Config) -> Pipeline:
        """Return the test pipeline; with ``exact``, replace the config's normalisation.

        Raises an InputError if ``exact`` is set and the config's network does not take RGB.
        """
        if not self.exact:
            return pipeline_of(cfg)
        preprocessor = cfg.model.get('data_preprocessor') or {}
        if len(preprocessor.get('mean') or ()) != 3:
            raise InputError(f'{cfg.filename}: --preset is for networks of RGB, not of flow')
        preprocessor.update(mean=MEAN, std=STD)
        clip_len = self.clip_len
        if clip_len is None:
            given = pipeline_of(cfg)
            clip_len = given[find_transform(given, *SAMPLERS)]['clip_len']
        clips = clip_pipelines(clip_len, test_clips=1, target_fps=self.target_fps)[-1]
        at = find_transform(clips, 'ReadFrames')
        clips[at]['rounded'] = False
        clips[at + 1] = dict(type='r21d_plugin.FixedCrops', count=self.crops)
        return clips

    def name(self, videos: Mapping[str, Path]) -> dict[str, Path]:
        """Name the features of videos; raise an InputError if two get the same name."""
        if self.suffix is None:
            return dict(videos)
        named: dict[str, Path] = {}
        for name, video in videos.items():
            other = named.setdefault(str(Path(name).with_suffix('')) + self.suffix, video)
            if other != video:
                why = '--preset names features without the extension of the video'
                raise InputError(f'{other} and {video}: {why}: rename one')
        return named


PRESETS = {
    'tsp-actionformer': Preset(True, clip_len=16, target_fps=15, suffix=''),
    'ucf-crime-32x10': Preset(True, 16, crops=10, keep=('crops',), segments=32, suffix=''),
    'video_features': Preset(True, suffix='_r21d'),
}
"""Presets by name: TSP's features for ActionFormer, features for weakly supervised anomaly
detection (Sultani et al. and RTFM), and features of the tool video_features."""
