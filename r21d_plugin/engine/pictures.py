"""Draw predictions during a test, for ``--show-dir`` and ``--show`` of ``tools/test.py``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import LabelData

from .._errors import InputError, check_whole
from .._registries import HOOKS
from ..datasets.wrappers import inner_datasets
from ..evaluation.clip_video_accuracy import labels_of
from ..evaluation.scores import is_of_numbers


@HOOKS.register_module()
class PredictionPicturesHook(Hook):
    """Draw the input frames of a video, with its label and the prediction.

    This hook replaces MMAction2's ``VisualizationHook``, which in 1.2.0 fails on several clips
    (https://github.com/open-mmlab/mmaction2/pull/2697).

    Labels are shown with class names: those of the checkpoint
    (:class:`~r21d_plugin.engine.TaskHook`), or ``classes`` of the dataset's metainfo.

    Args:
        out_dir (str, optional): Output folder. It gets one folder per video, at the video's path
            relative to ``data_prefix['video']``. Defaults to the visualizer's folder.
        interval (int): Draw every n-th video. Defaults to 1.
        **drawing: Arguments of the visualizer, such as ``show_frames`` and ``wait_time``.
    """

    def __init__(self, out_dir: str | None = None, interval: int = 1, **drawing: Any) -> None:
        check_whole('interval', interval)
        self.out_dir, self.interval, self.drawing = out_dir, interval, drawing
        self.seen, self.folder = 0, os.sep

    def before_test_epoch(self, runner: Runner) -> None:
        """Look up the folder of the videos."""
        datasets = inner_datasets(runner.test_dataloader.dataset)
        prefixes = [getattr(dataset, 'data_prefix', {}).get('video') for dataset in datasets]
        self.folder = os.path.commonpath([os.path.abspath(prefix or '/') for prefix in prefixes])

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw the clips of every ``interval``-th video, one after the other."""
        inputs = data_batch['inputs']
        videos = inputs['imgs'] if isinstance(inputs, dict) else inputs  # a dict for two streams
        for number, (clips, sample) in enumerate(zip(videos, outputs), self.seen):
            if number % self.interval:
                continue
            if clips.shape[1] != 3:
                raise InputError(
                    f'--show-dir and --show: cannot draw clips of {clips.shape[1]} channels: '
                    'leave these options out'
                )
            if is_of_numbers(sample):
                raise InputError('--show-dir and --show: draw classes, and the head gives numbers')
            drawn = sample.new()  # MMAction2's visualizer uses the label names of version 0.x
            if labels := sorted(labels_of(sample.to_dict())):
                drawn.gt_labels = drawn.set_gt_label(labels).gt_label
            drawn.pred_labels = LabelData(item=sample.pred_label, score=sample.pred_score)
            filename = sample.get('filename')
            name = self.relative_path(filename) if filename else str(number)
            runner.visualizer.add_datasample(
                name,
                clips.permute(0, 2, 3, 4, 1).flatten(0, 1).numpy(),
                drawn,
                rescale_factor=448 / min(clips.shape[-2:]),  # large enough for the text
                out_path=self.out_dir and str(Path(self.out_dir, name)),
                **self.drawing,
            )
        self.seen += len(outputs)

    def relative_path(self, filename: str) -> str:
        """Return a video's path relative to the folder of all videos, or else to the root."""
        path = Path(os.path.abspath(filename))
        inside = Path(self.folder) in path.parents
        return str(path.relative_to(self.folder if inside else path.anchor))
