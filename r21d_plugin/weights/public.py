"""The public weights of these networks, by name.

Accuracies are those that their publishers state. Where weights can be had, and
the figures, are from the model zoos of VMZ
(https://github.com/facebookresearch/VMZ), of torchvision and of ig65m-pytorch
(https://github.com/moabitcoin/ig65m-pytorch).
"""

from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import InputError

RGB = (110.201, 100.64, 95.9966), (58.1489, 56.4701, 55.3324)
FLOW = (0.0046635, 0.0046261), (0.972347, 0.755146)


class Published(NamedTuple):
    """Weights that somebody has published.

    Attributes:
        network (str): Name of the network (see :func:`r21d_plugin.list_models`).
        source (str): Who has published them.
        url (str): Where.
        training (str): What they were trained on, in order.
        classes (int): Classes.
        clip_len (int): Frames of a clip.
        fps (float): Frames a second of the videos.
        midplanes (str): See :class:`~r21d_plugin.models.R2Plus1D`.
        sha256 (str, optional): First digits of the file's hash, where they are
            published.
        clip1 (float, optional): clip@1 in per cent, likewise.
        video1 (float, optional): video@1.
        video5 (float, optional): video@5.
        test (str): What these were measured with.
        in_channels (int): Channels of a frame: 3 for RGB, 2 for flow.
        config (str, optional): Name of the config that tests them, without
            ``.py``. None: the dataset is not public.
    """

    network: str
    source: str
    url: str
    training: str
    classes: int
    clip_len: int
    fps: float = 30
    midplanes: str = 'layer'
    sha256: str | None = None
    clip1: float | None = None
    video1: float | None = None
    video5: float | None = None
    test: str = '10 clips of a video of Kinetics-400'
    in_channels: int = 3
    config: str | None = None

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, RGB in 0 to 255, flow in pixels."""
        return (RGB if self.in_channels == 3 else FLOW)[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, in the same units."""
        return (RGB if self.in_channels == 3 else FLOW)[1]

    @property
    def categories(self) -> list[str] | None:
        """Names of the classes, as far as they are published: those of Kinetics-400."""
        return kinetics_400() if self.classes == 400 else None


def kinetics_400() -> list[str]:
    """Names of the classes of Kinetics-400, in the order of public weights."""
    return Path(__file__).with_name('kinetics_400.txt').read_text().splitlines()


def vmz(network: str, link: str, clip_len: int, *accuracy: float, **more: Any) -> Published:
    """Weights of the authors' release, on Dropbox; no hashes are published.

    What follows the # is for mim, which names the file that it downloads by
    what follows the last slash.
    """
    clip1, video1, video5 = accuracy
    return Published(
        network,
        'VMZ',
        f'https://www.dropbox.com/s/{link}?dl=1#/{link.rpartition("/")[2]}',
        classes=400,
        clip_len=clip_len,
        clip1=clip1,
        video1=video1,
        video5=video5,
        **dict(training='Kinetics-400', config=f'{network}_kinetics') | more,
    )


def vmz_18(family: str, link: str, clip_len: int, *accuracy: float) -> Published:
    """Weights of an 18-layer network of the authors' release, which Table 2 is about."""
    name = dict(fr2d='r2df', r2plus1d='r2.5d').get(family, family)
    return vmz(
        f'{family}_18',
        f'{link}/{name}_d18_l{clip_len}.pkl',
        clip_len,
        *accuracy,
        config=f'{family}_18_kinetics{"" if clip_len == 8 else f"_{clip_len}f"}',
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


def ig65m(file: str, training: str, classes: int, clip_len: int, *accuracy: float) -> Published:
    """Weights of ig65m-pytorch, converted from those of VMZ, whose accuracy is stated."""
    url = f'https://github.com/moabitcoin/ig65m-pytorch/releases/download/v1.0.0/{file}'
    video1, video5 = accuracy or (None, None)
    return Published(
        'r2plus1d_34',
        'ig65m-pytorch',
        url,
        training,
        classes,
        clip_len,
        sha256=file.removesuffix('.pth').rpartition('-')[2],
        video1=video1,
        video5=video5,
        config=f'r2plus1d_34_kinetics{"_8f" if clip_len == 8 else ""}_from_ig65m'
        if accuracy
        else None,
    )


_SPORTS = dict(training='Sports-1M, Kinetics-400', test='clips taken densely, of Kinetics-400')


class PublicWeights(Enum):
    """Public weights: ``<network>_<name>``, the name being what :func:`create_model` takes."""

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
        'r2plus1d_34', 'y6c6jf7myv2w6iq/r2.5d_d34_l32.pkl', 32, 60.6, 72.4, 90.6
    )
    R2PLUS1D_34_VMZ_SPORTS1M_KINETICS_32F = vmz(
        'r2plus1d_34',
        'odd9smqn2t54run/r2.5d_d34_l32_ft_sports1m.pkl',
        32,
        *(63.9, 74.2, 92.1),
        **_SPORTS,
        config='r2plus1d_34_kinetics_from_sports1m',
    )
    R2PLUS1D_34_VMZ_SPORTS1M_KINETICS_FLOW_32F = vmz(
        'r2plus1d_34',
        '30zj1t9xte5vy64/r2.5d_d34_l32_ft_sports1m_optical_flow.pkl',
        32,
        *(55.9, 68.2, 88.0),
        **_SPORTS,
        in_channels=2,
        config='r2plus1d_34_flow_kinetics_from_sports1m',
    )

    R3D_18_TORCHVISION_KINETICS_16F = torchvision('r3d_18', 'b3b3357e', 63.2, 83.479)
    MC3_18_TORCHVISION_KINETICS_16F = torchvision('mc3_18', 'a90a0ba3', 63.96, 84.13)
    R2PLUS1D_18_TORCHVISION_KINETICS_16F = torchvision('r2plus1d_18', '91a641e6', 67.463, 86.175)

    R2PLUS1D_34_IG65M_8F = ig65m(
        'r2plus1d_34_clip8_ig65m_from_scratch-9bae36ae.pth', 'IG-65M', 487, 8
    )
    R2PLUS1D_34_IG65M_32F = ig65m(
        'r2plus1d_34_clip32_ig65m_from_scratch-449a7af9.pth', 'IG-65M', 359, 32
    )
    R2PLUS1D_34_IG65M_KINETICS_8F = ig65m(
        'r2plus1d_34_clip8_ft_kinetics_from_ig65m-0aa0550b.pth',
        'IG-65M, Kinetics-400',
        400,
        8,
        *(74.9, 91.8),
    )
    R2PLUS1D_34_IG65M_KINETICS_32F = ig65m(
        'r2plus1d_34_clip32_ft_kinetics_from_ig65m-ade133f1.pth',
        'IG-65M, Kinetics-400',
        400,
        32,
        *(80.0, 94.2),
    )


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
    """Names of public weights.

    Args:
        network (str, optional): Network whose weights are meant: names as
            :func:`~r21d_plugin.create_model` takes them. Defaults to None:
            those of all networks, ``<network>_<name>``.
    """
    if network is not None:
        return list(public_names(network))
    return [weights.name.lower() for weights in PublicWeights]
