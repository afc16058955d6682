"""Pictures of a test: what ``tools/test.py`` draws for ``--show-dir`` and ``--show``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmaction.structures import ActionDataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import LabelData

from .._errors import InputError
from .._registries import HOOKS

SHORT_SIDE = 448
"""Pixels of a picture, in which the words that are drawn on it can be read."""


@HOOKS.register_module()
class PredictionPicturesHook(Hook):
    """Draw the frames that a network saw of a video, with its label and the prediction.

    It takes the place of MMAction2's ``VisualizationHook``, which in 1.2.0 fails on several clips
    (https://github.com/open-mmlab/mmaction2/pull/2697) and passes an argument that the visualizer
    does not know.

    Args:
        out_dir (str, optional): Folder with a folder of pictures for each video. Defaults to None:
            they go where the visualizer writes.
        show (bool): Whether to show them in a window. Defaults to False.
        wait_time (float): Seconds to show each video. Defaults to 2.
        interval (int): Draw every n-th video. Defaults to 1.
    """

    def __init__(
        self,
        out_dir: str | None = None,
        show: bool = False,
        wait_time: float = 2,
        interval: int = 1,
    ) -> None:
        self.out_dir = out_dir
        self.shown = dict(show_frames=show, wait_time=wait_time)
        self.interval = interval
        self.seen = 0

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[ActionDataSample] | None = None,
    ) -> None:
        """Draw every ``interval``-th video, its clips one after the other.

        Raises:
            InputError: If the clips are not RGB.
        """
        inputs = data_batch['inputs']
        videos = inputs['imgs'] if isinstance(inputs, dict) else inputs  # of two streams
        for clips, sample in zip(videos, outputs or [], strict=True):
            self.seen += 1
            if (self.seen - 1) % self.interval:
                continue
            if clips.shape[1] != 3:
                raise InputError(
                    f'--show-dir and --show: clips of {clips.shape[1]} channels are no pictures: '
                    'leave these options out'
                )
            name = Path(sample.get('filename', str(self.seen - 1))).name
            runner.visualizer.add_datasample(
                name,
                clips.permute(0, 2, 3, 4, 1).flatten(0, 1).numpy(),
                with_old_names(sample),
                rescale_factor=SHORT_SIDE / min(clips.shape[-2:]),
                out_path=self.out_dir and str(Path(self.out_dir, name)),
                **self.shown,
            )


def with_old_names(sample: ActionDataSample) -> ActionDataSample:
    """A data sample with labels also where MMAction2's visualizer looks, by their names of 0.x."""
    sample = sample.new()
    sample.gt_labels = sample.gt_label
    sample.pred_labels = LabelData(item=sample.pred_label, score=sample.pred_score)
    return sample
