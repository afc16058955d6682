"""Grad-CAM heat maps of clips, computed with Captum."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.config import Config
from torch import Tensor, nn

from ..._errors import InputError
from ..._packages import missing
from ...inference.recognizer import load_recognizer
from ...inference.video_inputs import build_pipeline, pipeline_of, run_pipeline


class Clip(NamedTuple):
    """A test clip of a video."""

    frames: np.ndarray  # input of the network, T x H x W x 3 uint8, RGB
    heat: np.ndarray  # evidence for the class, T x H x W, 0 to 1
    cells: tuple[int, int, int]  # T x H x W of the underlying feature map


class GradCam:
    """Grad-CAM of the last group of a network with one RGB stream, on the clips of its test.

    Selvaraju et al., https://arxiv.org/abs/1610.02391: the positive part of the feature map
    weighted by the mean gradient of the class's logit. Raises an InputError if Captum is not
    installed, the network has no such group, or the checkpoint does not load.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: torch.device) -> None:
        if find_spec('captum') is None:
            raise missing('captum')
        cfg.default_hooks = {**cfg.get('default_hooks', {}), 'accelerate': None}
        self.model = load_recognizer(cfg, checkpoint, device)
        self.layer = last_group(self.model)
        self.pipeline = build_pipeline(pipeline_of(cfg))

    def clip(self, video: Path, number: int, label: int) -> Clip:
        """Compute the map of a test clip for a class; raise an InputError if it does not decode."""
        from captum.attr import LayerAttribution, LayerGradCam

        pixels = run_pipeline(self.pipeline, video)['inputs'][number]
        batch = dict(inputs=[pixels[None]], data_samples=None)
        inputs = self.model.data_preprocessor(batch, False)['inputs']
        heat = LayerGradCam(self.logits, self.layer).attribute(
            inputs, label, relu_attributions=True
        )
        large = LayerAttribution.interpolate(heat, tuple(pixels.shape[1:]), 'trilinear')
        large = large / large.max().clamp(min=1e-12)
        frames = pixels.permute(1, 2, 3, 0).numpy()
        return Clip(frames, large[0, 0].detach().cpu().numpy(), tuple(heat.shape[2:]))

    def logits(self, inputs: Tensor) -> Tensor:
        """Compute logits, views x classes, of views, 1 x views x C x T x H x W."""
        logits: Tensor = self.model(inputs, mode='tensor', stage='head')
        return logits


def last_group(model: BaseRecognizer) -> nn.Module:
    """Return the last group of a network with one RGB stream; raise an InputError otherwise."""
    backbone: Any = getattr(model, 'backbone', None)
    layer = getattr(backbone, 'layer4', None)
    if not isinstance(layer, nn.Module) or getattr(backbone, 'in_channels', 3) != 3:
        raise InputError('Grad-CAM needs a network of one RGB stream with a backbone.layer4')
    return layer
