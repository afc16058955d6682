"""The public weights of these networks, by name.

Addresses and accuracies are those that the publishers state: the model zoo of VMZ
(https://github.com/facebookresearch/VMZ), torchvision, and ig65m-pytorch
(https://github.com/moabitcoin/ig65m-pytorch).
"""

from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import InputError
from .transforms import VideoClassification

RGB = (110.201, 100.64, 95.9966), (58.1489, 56.4701, 55.3324)
FLOW = (0.0046635, 0.0046261), (0.972347, 0.755146)
"""Mean and standard deviation of each channel: RGB in 0 to 255, flow in pixels."""

RESIZE_SIZE = (128, 171)
CROP_SIZE = (112, 112)
"""Height and width of frames and crops, for all public weights."""

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
    training: str  # training data, in order
    classes: int
    clip_len: int  # frames of a clip
    fps: float = 30  # frames a second of the videos
    midplanes: str = 'layer'  # see R2Plus1D
    sha256: str | None = None  # first digits of the file's hash, if published
    clip1: float | None = None  # clip@1 in per cent, if published
    video1: float | None = None  # video@1
    video5: float | None = None  # video@5
    test: str = '10 clips of a video of Kinetics-400'  # how these were measured
    in_channels: int = 3  # 3 for RGB, 2 for flow
    config: str | None = None  # config that tests them, without .py; None: no public dataset

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel: RGB in 0 to 255, flow in pixels."""
        return (RGB if self.in_channels == 3 else FLOW)[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, in the same units."""
        return (RGB if self.in_channels == 3 else FLOW)[1]

    @property
    def categories(self) -> list[str] | None:
        """Names of the classes, if they are published: those of Kinetics-400."""
        return kinetics_400() if self.classes == 400 else None

    @property
    def meta(self) -> dict[str, Any]:
        """All that is known of them, by name, as torchvision's weights have it.

        ``resize_size`` and ``crop_size`` are height and width, ``metrics`` the published
        accuracies in per cent, ``test`` how they were measured.
        """
        metrics = {'clip@1': self.clip1, 'video@1': self.video1, 'video@5': self.video5}
        metrics = {name: value for name, value in metrics.items() if value is not None}
        return dict(
            network=self.network,
            num_classes=self.classes,
            categories=self.categories,
            clip_len=self.clip_len,
            fps=self.fps,
            in_channels=self.in_channels,
            mean=self.mean,
            std=self.std,
            resize_size=RESIZE_SIZE,
            crop_size=CROP_SIZE,
            license=LICENSES[self.source],
            source=self.source,
            url=self.url,
            training=self.training,
            sha256=self.sha256,
            metrics=metrics,
            test=self.test if metrics else None,
        )

    def transforms(self) -> VideoClassification:
        """Preprocessing of clips for them.

        Flow is cropped and normalised only: compute it, in pixels, on frames that are resized to
        128 x 171 already.
        """
        resize_size = RESIZE_SIZE if self.in_channels == 3 else None
        return VideoClassification(self.mean, self.std, resize_size, CROP_SIZE)


def kinetics_400() -> list[str]:
    """Names of the classes of Kinetics-400, in the order of public weights."""
    return Path(__file__).with_name('kinetics_400.txt').read_text().splitlines()


def vmz(network: str, file: str, clip_len: int, *accuracy: float, **more: Any) -> Published:
    """Weights of the authors' release, on Dropbox, without hashes.

    mim names the file that it downloads by what follows the last slash, hence the fragment.
    """
    clip1, video1, video5 = accuracy
    return Published(
        network,
        'VMZ',
        f'https://www.dropbox.com/s/{file}.pkl?dl=1#/{file.rpartition("/")[2]}.pkl',
        classes=400,
        clip_len=clip_len,
        clip1=clip1,
        video1=video1,
        video5=video5,
        **dict(training='Kinetics-400', config=f'{network}_kinetics') | more,
    )


def vmz_18(family: str, link: str, clip_len: int, *accuracy: float) -> Published:
    """Weights of an 18-layer network of the authors' release (Table 2)."""
    name = dict(fr2d='r2df', r2plus1d='r2.5d').get(family, family)
    config = f'{family}_18_kinetics{"" if clip_len == 8 else f"_{clip_len}f"}'
    file = f'{link}/{name}_d18_l{clip_len}'
    return vmz(f'{family}_18', file, clip_len, *accuracy, config=config)


def vmz_sports(file: str, stream: str, *accuracy: float, **more: Any) -> Published:
    """Weights of the authors' R(2+1)D-34, pretrained on Sports-1M."""
    return vmz(
        'r2plus1d_34',
        file,
        32,
        *accuracy,
        training='Sports-1M, Kinetics-400',
        test='clips taken densely, of Kinetics-400',
        config=f'r2plus1d_34{stream}_kinetics_from_sports1m',
        **more,
    )


def torchvision(network: str, sha256: str, video1: float, video5: float) -> Published:
    """Weights of torchvision."""
    return Published(
        network,
        'torchvision',
        f'https://download.pytorch.org/models/{network}-{sha256}.pth',
        'Kinetics-400',
        classes=400,
        clip_len=16,
        fps=15,
        midplanes='block' if network == 'r2plus1d_18' else 'layer',
        sha256=sha256,
        video1=video1,
        video5=video5,
        test='5 clips of a video of Kinetics-400',
        config=f'{network}_kinetics_16f_torchvision',
    )


def ig65m(clip_len: int, name: str, sha256: str, classes: int, *accuracy: float) -> Published:
    """Weights of ig65m-pytorch, ported from VMZ, which states the accuracy on Kinetics-400."""
    file = f'r2plus1d_34_clip{clip_len}_{name}-{sha256}.pth'
    config = f'r2plus1d_34_kinetics{"_8f" if clip_len == 8 else ""}_from_ig65m'
    video1, video5 = accuracy or (None, None)
    return Published(
        'r2plus1d_34',
        'ig65m-pytorch',
        f'https://github.com/moabitcoin/ig65m-pytorch/releases/download/v1.0.0/{file}',
        'IG-65M, Kinetics-400' if accuracy else 'IG-65M',
        classes,
        clip_len,
        sha256=sha256,
        video1=video1,
        video5=video5,
        config=config if accuracy else None,
    )


class PublicWeights(Enum):
    """Public weights: ``<network>_<name>``, where ``create_model(network, weights=name)`` works.

    The value of a member is a :class:`Published`.
    """

    R2D_18_VMZ_KINETICS_8F = vmz_18('r2d', 'ju4fah9dksn08s1', 8, 47.0, 60.0, 81.2)
    FR2D_18_VMZ_KINETICS_8F = vmz_18('fr2d', '4jexszps3564za3', 8, 48.5, 60.0, 81.8)
    R3D_18_VMZ_KINETICS_8F = vmz_18('r3d', 'n3ax2591imcy9ly', 8, 49.8, 62.3, 83.4)
    MC2_18_VMZ_KINETICS_8F = vmz_18('mc2', 'lkmhyjok8odtv8e', 8, 50.6, 63.0, 83.8)
    MC3_18_VMZ_KINETICS_8F = vmz_18('mc3', '3jxzhc3kduyrpik', 8, 51.1, 63.3, 84.2)
    MC4_18_VMZ_KINETICS_8F = vmz_18('mc4', 'vx2xee36et823gs', 8, 50.9, 63.0, 84.2)
    MC5_18_VMZ_KINETICS_8F = vmz_18('mc5', 'z6fxv6jr30i2lwz', 8, 50.7, 62.9, 84.2)
    RMC2_18_VMZ_KINETICS_8F = vmz_18('rmc2', 'vnjpzq7li2b7tk2', 8, 50.2, 62.7, 83.9)
    RMC3_18_VMZ_KINETICS_8F = vmz_18('rmc3', '1vwjomlc45ox6u1', 8, 50.2, 62.8, 83.7)
    RMC4_18_VMZ_KINETICS_8F = vmz_18('rmc4', 'zots41ng2xs2ezu', 8, 50.3, 62.8, 83.3)
    RMC5_18_VMZ_KINETICS_8F = vmz_18('rmc5', '3e56jjx6x1qot4x', 8, 49.7, 61.6, 83.1)
    R2PLUS1D_18_VMZ_KINETICS_8F = vmz_18('r2plus1d', 'wzgx4d80mrh7pnf', 8, 53.2, 65.3, 85.2)

    R2D_18_VMZ_KINETICS_16F = vmz_18('r2d', 'hyw8ltzvhadxgia', 16, 47.5, 59.4, 81.3)
    FR2D_18_VMZ_KINETICS_16F = vmz_18('fr2d', '4yy0tdfebdy0ptr', 16, 50.7, 60.9, 81.9)
    R3D_18_VMZ_KINETICS_16F = vmz_18('r3d', '8tqp8uhjmedflu1', 16, 52.9, 64.7, 85.0)
    MC2_18_VMZ_KINETICS_16F = vmz_18('mc2', 'xmtqk2w3p60yly0', 16, 53.6, 64.8, 85.1)
    MC3_18_VMZ_KINETICS_16F = vmz_18('mc3', 'rpgbzjewagjeu2f', 16, 54.1, 65.2, 85.8)
    MC4_18_VMZ_KINETICS_16F = vmz_18('mc4', 'lrjwye0ldsgi2p2', 16, 54.3, 65.6, 85.6)
    MC5_18_VMZ_KINETICS_16F = vmz_18('mc5', '3qp62d3159rzwsj', 16, 54.1, 65.6, 85.5)
    RMC2_18_VMZ_KINETICS_16F = vmz_18('rmc2', '70k3p0xz6rjcdtb', 16, 53.5, 65.4, 85.5)
    RMC3_18_VMZ_KINETICS_16F = vmz_18('rmc3', 'n8eulubwh6l3o0b', 16, 53.6, 65.5, 85.7)
    RMC4_18_VMZ_KINETICS_16F = vmz_18('rmc4', 'di3wwadbapc61rn', 16, 53.9, 65.6, 85.3)
    RMC5_18_VMZ_KINETICS_16F = vmz_18('rmc5', 'lb5jaji177hid7p', 16, 52.5, 63.5, 84.2)
    R2PLUS1D_18_VMZ_KINETICS_16F = vmz_18('r2plus1d', '94d2ruqn6tp7xno', 16, 57.3, 68.5, 87.5)

    R2PLUS1D_34_VMZ_KINETICS_32F = vmz(
        'r2plus1d_34', 'y6c6jf7myv2w6iq/r2.5d_d34_l32', 32, 60.6, 72.4, 90.6
    )
    R2PLUS1D_34_VMZ_SPORTS1M_KINETICS_32F = vmz_sports(
        'odd9smqn2t54run/r2.5d_d34_l32_ft_sports1m', '', 63.9, 74.2, 92.1
    )
    R2PLUS1D_34_VMZ_SPORTS1M_KINETICS_FLOW_32F = vmz_sports(
        *('30zj1t9xte5vy64/r2.5d_d34_l32_ft_sports1m_optical_flow', '_flow', 55.9, 68.2, 88.0),
        in_channels=2,
    )

    R3D_18_TORCHVISION_KINETICS_16F = torchvision('r3d_18', 'b3b3357e', 63.2, 83.479)
    MC3_18_TORCHVISION_KINETICS_16F = torchvision('mc3_18', 'a90a0ba3', 63.96, 84.13)
    R2PLUS1D_18_TORCHVISION_KINETICS_16F = torchvision('r2plus1d_18', '91a641e6', 67.463, 86.175)

    R2PLUS1D_34_IG65M_8F = ig65m(8, 'ig65m_from_scratch', '9bae36ae', 487)
    R2PLUS1D_34_IG65M_32F = ig65m(32, 'ig65m_from_scratch', '449a7af9', 359)
    R2PLUS1D_34_IG65M_KINETICS_8F = ig65m(8, 'ft_kinetics_from_ig65m', '0aa0550b', 400, 74.9, 91.8)
    R2PLUS1D_34_IG65M_KINETICS_32F = ig65m(
        32, 'ft_kinetics_from_ig65m', 'ade133f1', 400, 80.0, 94.2
    )

    @property
    def meta(self) -> dict[str, Any]:
        """See :attr:`Published.meta`."""
        return self.value.meta

    def transforms(self) -> VideoClassification:
        """See :meth:`Published.transforms`."""
        return self.value.transforms()


def find_weights(network: str, name: str) -> Published:
    """Look up public weights of a network.

    Args:
        network (str): The network.
        name (str): Name of the weights, such as ``'ig65m_kinetics_32f'``.

    Raises:
        InputError: If there are none of this name.
    """
    names = public_names(network)
    if name not in names:
        raise InputError(
            f'weights {name!r}: no such file, and no public weights of {network}: '
            f'{"choose from " + ", ".join(names) if names else "nobody has published any"}'
        )
    return names[name]


def public_names(network: str) -> dict[str, Published]:
    """The public weights of a network by name."""
    return {
        weights.name.lower().removeprefix(f'{network}_'): weights.value
        for weights in PublicWeights
        if weights.value.network == network
    }


def list_weights(network: str | None = None) -> list[str]:
    """List the names of public weights.

    Args:
        network (str, optional): The network: its names as :func:`~r21d_plugin.create_model` takes
            them. Defaults to None: those of all networks, ``<network>_<name>``.
    """
    if network is not None:
        return list(public_names(network))
    return [weights.name.lower() for weights in PublicWeights]
