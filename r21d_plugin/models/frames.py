"""Frames that clips of a video have in common, for networks whose first convolutions are 2D.

A 2D convolution sees one frame at a time, so a frame that ten clips contain
need be convolved once.
"""

import torch
from torch import Tensor


class UniqueFrames:
    """The different frames of a batch of clips.

    Frames are the same if all their numbers are: nothing is assumed of where
    they come from, and what is computed of them is what each would give.

    Args:
        clips (Tensor): N x C x T x H x W, in CPU memory.

    Attributes:
        frames (Tensor): Each frame once, as clips of one frame, U x C x 1 x H
            x W.
    """

    def __init__(self, clips: Tensor) -> None:
        self.shape = clips.shape[0], clips.shape[2]
        frames = clips.transpose(1, 2).flatten(0, 1)
        first: dict[bytes, int] = {}
        seen = [first.setdefault(frame.numpy().tobytes(), i) for i, frame in enumerate(frames)]
        places = {index: place for place, index in enumerate(first.values())}
        self.positions = torch.tensor([places[index] for index in seen])
        self.frames = frames[list(first.values())].unsqueeze(2)

    def clips(self, maps: Tensor) -> Tensor:
        """Put feature maps of the frames, U x C x 1 x H x W, in the places of the frames.

        Returns:
            Tensor: N x C x T x H x W.
        """
        return maps.squeeze(2)[self.positions].unflatten(0, self.shape).transpose(1, 2)
