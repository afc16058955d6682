"""Linear probe and nearest-neighbour retrieval on stored features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .._errors import InputError
from ..datasets.text_files import quote, read_lines
from .feature_files import read_features
from .linear_probe import ClipFeatures, best_classifier, fit_classifier
from .presets import PRESETS

RECALL_AT = (1, 5, 10, 20, 50)
HELD_OUT = 5  # every fifth training video is used to choose the weight decay


def mean_features(sources: Iterable[Path]) -> dict[str, np.ndarray]:
    """Average stored features over clips, crops and time; return channels by name of the video.

    Raises an InputError if sources share a name or differ in their number of channels.
    """
    means: dict[str, np.ndarray] = {}
    for source in sources:
        for name, values in read_features(source):
            if name in means:
                raise InputError(f'{source}: has {name}, which another source has too: name one')
            means[name] = values.reshape(-1, values.shape[-1]).mean(0, dtype=np.float32)
    if len({len(values) for values in means.values()}) > 1:
        raise InputError('the features differ in their channels: name those of one network')
    return means


def labelled_features(path: Path, means: Mapping[str, np.ndarray]) -> ClipFeatures:
    """Return the features of listed videos (``path label`` lines); skip videos without features.

    Videos are found by their paths, with or without extension and the suffix of a preset. Raises an
    InputError if a line is malformed, or no video has features.
    """
    values, labels = [], []
    for line, where in read_lines(path):
        video, _, label = line.rpartition(' ')
        if not video or not label.isdecimal():
            raise InputError(f'{where}: {quote(line)} is not a path and the number of a class')
        stem = str(Path(video).with_suffix(''))
        names = (video, *(f'{stem}{preset.suffix}' for preset in PRESETS.values()))
        name = next((name for name in names if name in means), None)
        if name is not None:
            values.append(torch.from_numpy(means[name]))
            labels.append(int(label))
    if not values:
        stored = f'which are of videos such as {quote(next(iter(means)))}'
        remedy = 'extract those of the folder that its paths begin in'
        raise InputError(f'{path}: none of its videos has features, {stored}: {remedy}')
    return ClipFeatures(torch.stack(values)[:, None], torch.tensor(labels))


def recalls(
    training: ClipFeatures, test: ClipFeatures, counts: Sequence[int] = RECALL_AT
) -> dict[int, float]:
    """Compute recall@k: the fraction of test videos whose class is among the k nearest.

    Neighbours are training videos, by cosine similarity. Counts above their number are skipped.
    """
    keys = F.normalize(training.values.mean(1))
    counts = [count for count in counts if count <= len(keys)]
    queries = F.normalize(test.values.mean(1))
    found = []
    for some, labels in zip(queries.split(1000), test.labels.split(1000)):
        nearest = (some @ keys.T).topk(max(counts)).indices
        found.append((training.labels[nearest] == labels[:, None]).cumsum(1) > 0)
    hits = torch.cat(found).double().mean(0)
    return {count: hits[count - 1].item() for count in counts}


def probe(training: ClipFeatures, test: ClipFeatures) -> dict[str, Any]:
    """Evaluate features by a linear classifier and by nearest-neighbour retrieval.

    Every fifth training video is held out to choose the best of five weight decays; then the
    classifier is fitted to all training videos. Returns ``videos`` (their numbers), ``top1`` and
    ``weight_decay`` of the classifier, and ``recall`` by the number of neighbours, from 0 to 1.
    """
    count = len(training.labels)
    if count < HELD_OUT:
        raise InputError(f'{count} videos to train: a probe needs at least {HELD_OUT}')
    channels = [of.values.shape[-1] for of in (training, test)]
    if channels[0] != channels[1]:
        both = ' and '.join(map(str, channels))
        raise InputError(f'features of {both} channels: extract both lists with one network')
    classes = int(torch.cat([training.labels, test.labels]).max()) + 1
    held_out = torch.arange(count) % HELD_OUT == HELD_OUT - 1
    rest, chosen = (ClipFeatures(*(x[part] for x in training)) for part in (~held_out, held_out))
    _, decay, _ = best_classifier(rest, chosen, classes)
    return dict(
        videos=dict(train=count, test=len(test.labels)),
        top1=test.accuracy(fit_classifier(training, classes, decay)),
        weight_decay=decay,
        recall=recalls(training, test),
    )
