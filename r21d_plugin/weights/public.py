"""The public weights of these networks, by name. The table itself is ``public.json``.

Its rows are fields of :class:`Published`, whose defaults are left out. Addresses and accuracies are
those that the publishers state: the model zoo of VMZ (https://github.com/facebookresearch/VMZ),
torchvision, and ig65m-pytorch (https://github.com/moabitcoin/ig65m-pytorch). mim names the file
that it downloads by what follows the last slash, hence the fragments of VMZ's addresses.
"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import InputError
from .transforms import VideoClassification

LICENSES = {
    'VMZ': 'Apache-2.0 (repository); not stated for the weights',
    'torchvision': 'BSD-3-Clause (repository); terms of the training data may apply to the weights',
    'ig65m-pytorch': 'MIT (repository); not stated for the weights, which are ported from VMZ',
}
"""By publisher, as their READMEs state them."""


class Published(NamedTuple):
    """Weights that somebody has published."""

    network: str  # see r21d_plugin.list_models
    source: str  # who has published them
    url: str
    clip_len: int  # frames of a clip
    num_classes: int = 400
    training: str = 'Kinetics-400'  # training data, in order
    fps: float = 30  # frames a second of the videos
    in_channels: int = 3  # 3 for RGB, 2 for flow
    mean: tuple[float, ...] = (110.201, 100.64, 95.9966)  # of each channel: RGB in 0 to 255,
    std: tuple[float, ...] = (58.1489, 56.4701, 55.3324)  # flow in pixels
    midplanes: str = 'layer'  # see R2Plus1D
    sha256: str | None = None  # first digits of the file's hash, if published
    metrics: dict[str, float] = {}  # published accuracies in per cent: clip@1, video@1, video@5
    test: str = '10 clips of a video of Kinetics-400'  # how these were measured
    config: str | None = None  # config that tests them, without .py; None: no public dataset

    @property
    def meta(self) -> dict[str, Any]:
        """All that is known of them, by name, as torchvision's weights have it."""
        return dict(
            self._asdict(),
            categories=kinetics_400() if self.num_classes == 400 else None,
            test=self.test if self.metrics else None,
            license=LICENSES[self.source],
            resize_size=(128, 171),
            crop_size=(112, 112),
        )

    def transforms(self) -> VideoClassification:
        """Preprocessing of clips; flow has to be that of frames of 128 x 171, in pixels."""
        resize_size = (128, 171) if self.in_channels == 3 else None
        return VideoClassification(self.mean, self.std, resize_size)


def kinetics_400() -> list[str]:
    """Names of the classes of Kinetics-400, in the order of public weights."""
    return Path(__file__).with_name('kinetics_400.txt').read_text().splitlines()


def read_table() -> dict[str, Published]:
    """Read the table of public weights, by ``<NETWORK>_<NAME>``."""
    table = json.loads(Path(__file__).with_name('public.json').read_text())
    for row in table.values():
        row.update({key: tuple(value) for key, value in row.items() if isinstance(value, list)})
    return {name.upper(): Published(**row) for name, row in table.items()}


class PublishedEnum(Enum):
    """What members of :data:`PublicWeights` have."""

    @property
    def meta(self) -> dict[str, Any]:
        """See :attr:`Published.meta`."""
        return self.value.meta

    def transforms(self) -> VideoClassification:
        """See :meth:`Published.transforms`."""
        return self.value.transforms()


PublicWeights: Any = PublishedEnum('PublicWeights', read_table())  # type: ignore[call-arg]
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
