from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

class SampleFrames(BaseTransform):
    clip_len: int
    frame_interval: int
    num_clips: int
    out_of_bound_opt: str
    test_mode: bool
    twice_sample: bool
    def __init__(
        self, clip_len: int, frame_interval: int = 1, num_clips: int = 1, **kwargs: Any
    ) -> None: ...
    def transform(self, results: dict[str, Any]) -> dict[str, Any]: ...
    def _get_ori_clip_len(self, fps_scale_ratio: float) -> float: ...
    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray: ...
    def _get_train_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray: ...

class RandomCrop(BaseTransform):
    size: int
    def transform(self, results: dict[str, Any]) -> dict[str, Any]: ...

class CenterCrop(RandomCrop):
    crop_size: tuple[int, int]

class ThreeCrop(BaseTransform):
    crop_size: tuple[int, int]
    def transform(self, results: dict[str, Any]) -> dict[str, Any]: ...

class TenCrop(BaseTransform):
    crop_size: tuple[int, int]
    def transform(self, results: dict[str, Any]) -> dict[str, Any]: ...

class Resize(BaseTransform):
    keep_ratio: bool
    scale: Any
    def transform(self, results: dict[str, Any]) -> dict[str, Any]: ...

class Flip(BaseTransform):
    def transform(self, results: dict[str, Any]) -> dict[str, Any]: ...

class ColorJitter(BaseTransform):
    adjust_hue: Any
    def transform(self, results: dict[str, Any]) -> dict[str, Any]: ...
