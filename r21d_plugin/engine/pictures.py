"""Pictures of a test: what ``tools/test.py`` draws for ``--show-dir`` and ``--show``."""

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import LabelData

from .._errors import InputError
from .._registries import HOOKS


@HOOKS.register_module()
class PredictionPicturesHook(Hook):
    """Draw the frames that a network saw of a video, with its label and the prediction.

    It takes the place of MMAction2's ``VisualizationHook``, which in 1.2.0 fails on several clips
    (https://github.com/open-mmlab/mmaction2/pull/2697).

    Args:
        out_dir (str, optional): Folder for them, one per video. Defaults to the visualizer's.
        interval (int): Draw every n-th video. Defaults to 1.
        **drawing: Arguments of the visualizer, such as ``show_frames`` and ``wait_time``.
    """

    def __init__(self, out_dir: str | None = None, interval: int = 1, **drawing: Any) -> None:
        self.out_dir, self.interval, self.drawing = out_dir, interval, drawing
        self.seen = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw the clips of every ``interval``-th video, one after the other."""
        inputs = data_batch['inputs']
        videos = inputs['imgs'] if isinstance(inputs, dict) else inputs  # of two streams
        for number, (clips, sample) in enumerate(zip(videos, outputs, strict=True), self.seen):
            if number % self.interval:
                continue
            if clips.shape[1] != 3:
                raise InputError(
                    f'--show-dir and --show: clips of {clips.shape[1]} channels are no pictures: '
                    'leave these options out'
                )
            drawn = sample.new()  # MMAction2's visualizer looks for labels by their names of 0.x
            drawn.gt_labels = sample.gt_label
            drawn.pred_labels = LabelData(item=sample.pred_label, score=sample.pred_score)
            name = Path(sample.get('filename', str(number))).name
            runner.visualizer.add_datasample(
                name,
                clips.permute(0, 2, 3, 4, 1).flatten(0, 1).numpy(),
                drawn,
                rescale_factor=448 / min(clips.shape[-2:]),  # large enough for the words
                out_path=self.out_dir and str(Path(self.out_dir, name)),
                **self.drawing,
            )
        self.seen += len(outputs)
