"""Train a network on videos in memory, and test it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from r21d_plugin.evaluation.scores import Scores

CROP = 32
"""Height and width of a clip, in pixels."""
WARM_UP = 0.05
"""Part of the steps in which the learning rate rises."""
EPOCHS = 20
"""Parts of a run for which a training error is recorded."""


class Videos(NamedTuple):
    """Videos, V x T x H x W x C uint8, and their labels, V int64."""

    frames: Tensor
    labels: Tensor


class Trainer:
    """Train a network by SGD with momentum 0.9 and weight decay 1e-4.

    The learning rate rises linearly, then falls to zero as a cosine. All networks that are trained
    with a seed see the same clips in the same order.

    Args:
        model (nn.Module): The network.
        videos (Videos): The training videos.
        clip_len (int): Frames per clip.
        batch_size (int): Clips per step.
        steps (int): Number of steps.
        rate (float): Highest learning rate.
        seed (int): Seed of the clips.

    Attributes:
        errors (list[float]): Training error, 0 to 1, of each finished twentieth of the run; with
            fewer than twenty steps, of each step.
    """

    def __init__(
        self,
        model: nn.Module,
        videos: Videos,
        clip_len: int,
        batch_size: int,
        steps: int,
        rate: float,
        seed: int,
    ) -> None:
        self.model = model
        self.videos = videos
        self.clip_len = clip_len
        self.batch_size = batch_size
        self.steps = steps
        self.rate = rate
        self.seed = seed
        self.optimizer = torch.optim.SGD(
            model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4
        )
        self.step = 0
        self.errors: list[float] = []

    def run(self, save: Callable[[dict[str, Any]], None]) -> None:
        """Train to the end; call ``save`` with the state after each twentieth."""
        ends = sorted({round(self.steps * (i + 1) / EPOCHS) for i in range(EPOCHS)} - {0})
        self.model.train()
        for end in ends[len(self.errors) :]:
            clips = (end - self.step) * self.batch_size
            wrong = torch.zeros((), device=self.videos.labels.device)
            while self.step < end:
                wrong += self.train_step()
                self.step += 1
            self.errors.append(float(wrong) / clips)
            save(self.state_dict())

    def train_step(self) -> Tensor:
        """Do one step; return the number of wrong clips."""
        clips, labels = self.draw_clips()
        for group in self.optimizer.param_groups:
            group['lr'] = self.rate * schedule(self.step / self.steps)
        logits = self.model(clips)
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(logits, labels).backward()
        self.optimizer.step()
        return (logits.argmax(dim=1) != labels).sum()

    def draw_clips(self) -> tuple[Tensor, Tensor]:
        """Draw the random clips of a step, N x C x T x H x W, and their labels."""
        rng = np.random.default_rng([self.seed, self.step])
        count, length, size = self.videos.frames.shape[:3]
        chosen = rng.integers(count, size=self.batch_size)
        starts = rng.integers(length - self.clip_len + 1, size=self.batch_size)
        corners = rng.integers(size - CROP + 1, size=(self.batch_size, 2))
        clips = [
            self.videos.frames[video, t : t + self.clip_len, y : y + CROP, x : x + CROP]
            for video, t, (y, x) in zip(chosen, starts, corners)
        ]
        return normalise(torch.stack(clips)), self.videos.labels[chosen]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of an unfinished run."""
        return dict(
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            step=self.step,
            errors=self.errors,
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume an unfinished run."""
        self.model.load_state_dict(state['model'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.step, self.errors = state['step'], list(state['errors'])


def schedule(done: float) -> float:
    """Return the learning rate, relative to the highest, after a part of a run."""
    if done < WARM_UP:
        return 0.1 + 0.9 * done / WARM_UP
    return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def normalise(clips: Tensor) -> Tensor:
    """Scale clips, N x T x H x W x C uint8, to -2 to 2, N x C x T x H x W."""
    return (clips.permute(0, 4, 1, 2, 3).float() - 127.5) / 63.75


@torch.no_grad()
def test(model: nn.Module, videos: Videos, clip_len: int, clips: int) -> dict[str, Scores]:
    """Test on evenly spaced centre crops.

    Args:
        model (nn.Module): The network.
        videos (Videos): The videos.
        clip_len (int): Frames per clip.
        clips (int): Clips per video, at least 2.

    Returns:
        dict[str, Scores]: Probabilities of the clips by video.
    """
    model.eval()
    length, size = videos.frames.shape[1:3]
    starts = np.linspace(0, length - clip_len, clips).round().astype(int)
    crop = slice((size - CROP) // 2, (size + CROP) // 2)
    scores = {}
    for index, (frames, label) in enumerate(zip(*videos)):
        cropped = frames[:, crop, crop]
        batch = torch.stack([cropped[start : start + clip_len] for start in starts])
        logits = torch.cat([model(part) for part in normalise(batch).split(20)])
        scores[str(index)] = Scores(logits.softmax(dim=1).cpu(), frozenset([int(label)]))
    return scores
