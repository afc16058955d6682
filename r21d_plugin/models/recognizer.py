"""Testing with many clips of a video in bounded memory."""

import torch
from mmaction.models import Recognizer3D
from mmaction.utils import SampleList

from ..registry import MODELS


@MODELS.register_module()
class MultiClipRecognizer(Recognizer3D):
    """MMAction2's Recognizer3D, testing a few views at a time.

    ``test_cfg=dict(max_testing_views=n)`` bounds how many views (clips times
    crops) are on the device at once, at any batch size: views are moved,
    normalised and classified n at a time. What grows with the clips is their
    uint8 pixels in host memory alone. Unset, all views of a batch go at once.
    """

    def test_step(self, data: dict) -> SampleList:
        """Predict a batch of videos.

        Args:
            data (dict): ``inputs``, one tensor per video of views x C x T x H
                x W, as the pipeline packs them, and ``data_samples``.

        Returns:
            SampleList: The data samples with predictions.
        """
        views = [view for video in data['inputs'] for view in video]
        limit = (self.test_cfg or {}).get('max_testing_views') or len(views)
        logits = []
        for start in range(0, len(views), limit):
            chunk = torch.stack(views[start : start + limit])
            batch = self.data_preprocessor(dict(inputs=[chunk], data_samples=None), False)
            logits.append(self(batch['inputs'], mode='tensor', stage='head'))
        data_samples = self.data_preprocessor.cast_data(data['data_samples'])
        return self.cls_head.predict_by_feat(torch.cat(logits), data_samples)

    val_step = test_step
