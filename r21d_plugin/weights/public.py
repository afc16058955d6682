"""Public weights of the networks, by name. The table is ``public.json``.

The table has the licenses that the publishers state, and the fields of :class:`Published` for each
set of weights, except defaults. The values are stated in the text or code of the publishers'
repositories, unless a note says otherwise; None or empty means that the publisher does not state
the value. The publishers are VMZ (https://github.com/facebookresearch/VMZ), torchvision,
ig65m-pytorch (https://github.com/moabitcoin/ig65m-pytorch), XDC and TSP
(https://github.com/HumamAlwassel), EchoNet-Dynamic (https://github.com/echonet/dynamic), SeLaVi and
GDT (https://github.com/facebookresearch), VideoMoCo (https://github.com/tinapan-pt/VideoMoCo) and
GluonCV (https://github.com/dmlc/gluon-cv). VMZ's URLs have fragments because mim names a downloaded
file by the text after the last slash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

from .._errors import InputError
from .transforms import VideoClassification

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name('public.json').read_text())


class Published(NamedTuple):
    """A set of published weights."""

    network: str  # see r21d_plugin.list_models
    source: str  # the publisher
    url: str
    clip_len: int | None  # frames per clip
    num_classes: int | None = 400  # 0: a network without its classifier
    training: str = 'Kinetics-400'  # training data, in order
    fps: float | None = 30  # frames per second of the videos
    in_channels: int = 3  # 3 for RGB in this order, 2 for flow
    mean: tuple[float, ...] | None = (110.201, 100.64, 95.9966)  # per channel; RGB from 0 to 255
    std: tuple[float, ...] | None = (58.1489, 56.4701, 55.3324)  # per channel; flow in pixels
    resize_size: tuple[int, int] | int | None = (128, 171)  # height and width, or shorter side
    crop_size: tuple[int, int] = (112, 112)
    midplanes: str = 'layer'  # see R2Plus1D
    eps: float = 1e-3  # of batch norm
    sha256: str | None = None  # first digits of the file's hash, if published
    sha1: str | None = None  # likewise
    metrics: dict[str, float] = {}  # published accuracies in per cent, by metric (clip@1 etc.), or
    # video@1 by the name of another dataset
    test: str = '10 clips of a video of Kinetics-400'  # how the metrics were measured
    note: str | None = None  # values that the publisher does not state for these weights
    config: str | None = None  # config that tests them, without .py; None: no public dataset

    @property
    def meta(self) -> dict[str, Any]:
        """Return all metadata as a dict, like ``meta`` of torchvision's weights."""
        return dict(
            self._asdict(),
            categories=kinetics_400() if self.num_classes == 400 else None,
            test=self.test if self.metrics else None,
            license=TABLE['licenses'][self.source],
        )

    def transforms(self) -> VideoClassification:
        """Return the preprocessing of clips; flow must be in pixels of frames of 128 x 171.

        Raises an InputError if the mean and deviation of the training data are not published.
        """
        if self.mean is None or self.std is None:
            raise InputError(
                f'{self.source} publishes no mean and deviation of its data: compute those of '
                'yours and use r21d_plugin.weights.transforms.VideoClassification'
            )
        resize_size = self.resize_size if self.in_channels == 3 else None
        return VideoClassification(self.mean, self.std, resize_size, self.crop_size)


def kinetics_400() -> list[str]:
    """Return the class names of Kinetics-400, in the order of the public weights."""
    return Path(__file__).with_name('kinetics_400.txt').read_text().splitlines()


def published(row: dict[str, Any]) -> Published:
    """Convert a row of the table."""
    fields: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Published(**fields)


class PublishedEnum(Enum):
    """Base class with the attributes of members of :data:`PublicWeights`."""

    @property
    def meta(self) -> dict[str, Any]:
        """See :attr:`Published.meta`."""
        published: Published = self.value
        return published.meta

    def transforms(self) -> VideoClassification:
        """See :meth:`Published.transforms`."""
        published: Published = self.value
        return published.transforms()


PublicWeights: Any = PublishedEnum(  # type: ignore[call-arg]
    'PublicWeights', {name.upper(): published(row) for name, row in TABLE['weights'].items()}
)
"""Public weights, with values of :class:`Published`; for ``create_model(weights=...)``."""


def find_weights(network: str, name: str) -> Published:
    """Look up public weights by name, such as ``'ig65m_kinetics_32f'``, or raise an InputError."""
    names = public_names(network)
    if name not in names:
        problem = f'no such file, and no public weights of {network}'
        remedy = f'choose from {", ".join(names)}' if names else 'none are published'
        raise InputError(f'weights {name!r}: {problem}: {remedy}')
    return names[name]


def public_names(network: str) -> dict[str, Published]:
    """Return the public weights of a network by name."""
    return {
        weights.name.lower()[len(network) + 1 :]: weights.value
        for weights in PublicWeights
        if weights.value.network == network
    }


def list_weights(network: str | None = None) -> list[str]:
    """List the public weights of a network for ``create_model``, or all as ``<network>_<name>``."""
    if network is not None:
        return list(public_names(network))
    return [weights.name.lower() for weights in PublicWeights]


def classes_of(checkpoint: Mapping[str, Any], source: str = '') -> tuple[str, ...]:
    """Return the class names of a checkpoint, in order; empty if it has none.

    Args:
        checkpoint (Mapping): The result of :func:`load_checkpoint`, or of ``torch.load`` for a file
            of MMEngine.
        source (str): File or URL of the checkpoint. Public weights get the published names.
            Defaults to ``''``.
    """
    found: Any = checkpoint
    for key in ('meta', 'dataset_meta', 'classes'):
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, (list, tuple)) and found and all(isinstance(x, str) for x in found):
        return tuple(found)
    file = file_name(source)
    published = (weights.value for weights in PublicWeights if file == file_name(weights.value.url))
    return next((tuple(each.meta['categories'] or ()) for each in published), ())


def file_name(source: str) -> str:
    """Return the file name of a path, or of a URL after its download."""
    return Path(unquote(urlparse(source).path)).name
