"""The public weights of these networks, by name. The table itself is ``public.json``.

It has what licenses the publishers state, and for each weights the fields of :class:`Published`,
whose defaults are left out. All of it is what the publishers state in their repositories, text or
code, but for what a note says; None or empty is what they do not state: the model zoo of VMZ
(https://github.com/facebookresearch/VMZ), torchvision, ig65m-pytorch
(https://github.com/moabitcoin/ig65m-pytorch), XDC and TSP (https://github.com/HumamAlwassel),
EchoNet-Dynamic (https://github.com/echonet/dynamic), SeLaVi and GDT
(https://github.com/facebookresearch), VideoMoCo (https://github.com/tinapan-pt/VideoMoCo) and
GluonCV (https://github.com/dmlc/gluon-cv). mim names the file that it downloads by what follows the
last slash, hence the fragments of VMZ's addresses.
"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import InputError
from .transforms import VideoClassification

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name('public.json').read_text())


class Published(NamedTuple):
    """Weights that somebody has published."""

    network: str  # see r21d_plugin.list_models
    source: str  # who has published them
    url: str
    clip_len: int | None  # frames of a clip
    num_classes: int | None = 400  # 0: a network without its classifier
    training: str = 'Kinetics-400'  # training data, in order
    fps: float | None = 30  # frames a second of the videos
    in_channels: int = 3  # 3 for RGB in this order, 2 for flow
    mean: tuple[float, ...] | None = (110.201, 100.64, 95.9966)  # of each channel: RGB in 0 to
    std: tuple[float, ...] | None = (58.1489, 56.4701, 55.3324)  # 255, flow in pixels
    resize_size: tuple[int, int] | int | None = (128, 171)  # of frames, or of their shorter side
    crop_size: tuple[int, int] = (112, 112)
    midplanes: str = 'layer'  # see R2Plus1D
    eps: float = 1e-3  # of batch norm
    sha256: str | None = None  # first digits of the file's hash, if published
    sha1: str | None = None  # the same
    metrics: dict[str, float] = {}  # published accuracies in per cent, by clip@1 and the like, or
    # video@1 on another dataset by its name
    test: str = '10 clips of a video of Kinetics-400'  # how these were measured
    note: str | None = None  # what of this is not stated by the publisher for these weights
    config: str | None = None  # config that tests them, without .py; None: no public dataset

    @property
    def meta(self) -> dict[str, Any]:
        """All that is known of them, by name, as torchvision's weights have it."""
        return dict(
            self._asdict(),
            categories=kinetics_400() if self.num_classes == 400 else None,
            test=self.test if self.metrics else None,
            license=TABLE['licenses'][self.source],
        )

    def transforms(self) -> VideoClassification:
        """Preprocessing of clips; flow has to be that of frames of 128 x 171, in pixels.

        Raises InputError if the mean and deviation of the training data are not published.
        """
        if self.mean is None or self.std is None:
            raise InputError(
                f'{self.source} publishes no mean and deviation of its data: compute those of '
                'yours and use r21d_plugin.weights.transforms.VideoClassification'
            )
        resize_size = self.resize_size if self.in_channels == 3 else None
        return VideoClassification(self.mean, self.std, resize_size, self.crop_size)


def kinetics_400() -> list[str]:
    """Names of the classes of Kinetics-400, in the order of public weights."""
    return Path(__file__).with_name('kinetics_400.txt').read_text().splitlines()


def published(row: dict[str, Any]) -> Published:
    """A row of the table."""
    fields: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Published(**fields)


class PublishedEnum(Enum):
    """What members of :data:`PublicWeights` have."""

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
"""Public weights, each a :class:`Published`: ``create_model(network, weights=name)`` works."""


def find_weights(network: str, name: str) -> Published:
    """Look up public weights by name, such as ``'ig65m_kinetics_32f'``, or raise InputError."""
    names = public_names(network)
    if name not in names:
        problem = f'no such file, and no public weights of {network}'
        remedy = f'choose from {", ".join(names)}' if names else 'nobody has published any'
        raise InputError(f'weights {name!r}: {problem}: {remedy}')
    return names[name]


def public_names(network: str) -> dict[str, Published]:
    """The public weights of a network by name."""
    return {
        weights.name.lower()[len(network) + 1 :]: weights.value
        for weights in PublicWeights
        if weights.value.network == network
    }


def list_weights(network: str | None = None) -> list[str]:
    """List public weights of a network, as ``create_model`` takes them, or ``<network>_<name>``."""
    if network is not None:
        return list(public_names(network))
    return [weights.name.lower() for weights in PublicWeights]
