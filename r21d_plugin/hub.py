"""Exchange networks with the Hugging Face hub, by huggingface_hub's ``PyTorchModelHubMixin``.

A repository or folder has ``model.safetensors``, ``config.json`` with the arguments of
:func:`~r21d_plugin.create_model` and facts about the input, and a ``README.md``::

    model = create_model('r2plus1d_18', weights='work_dirs/mine/epoch_45.pth')
    save_pretrained(model, 'folder', meta=dict(clip_len=8, mean=..., std=..., categories=...))
    push_to_hub(model, 'me/r2plus1d', meta=...)
    model = from_pretrained('me/r2plus1d')  # or 'folder'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._atomic import atomic_write, name_file_on_error, write_json
from ._errors import InputError, first_line
from ._norm_eps import norm_eps
from ._packages import missing_packages_named
from .models.factory import Classifier, create_model, network_of
from .weights import load_weights
from .weights.formats import infer_network
from .weights.publishing import safetensors_bytes

with missing_packages_named():
    import jinja2  # noqa: F401  the mixin imports these late
    import safetensors  # noqa: F401
    from huggingface_hub import PyTorchModelHubMixin

__all__ = ['HubNetwork', 'from_pretrained', 'push_to_hub', 'save_pretrained']

CARD = """\
---
{{ card_data }}
---

A network of *A Closer Look at Spatiotemporal Convolutions for Action Recognition*
(https://arxiv.org/abs/1711.11248) in r21d_plugin, which maps clips, N x C x T x H x W, to logits:

```python
from r21d_plugin.hub import from_pretrained

model = from_pretrained('{{ repo_id | default("REPOSITORY", true) }}')
```

`config.json` describes the network and, under `meta`, its input and classes.
"""


class HubNetwork(
    Classifier,
    PyTorchModelHubMixin,
    library_name='r21d_plugin',
    pipeline_tag='video-classification',
    model_card_template=CARD,
):
    """A network of :func:`~r21d_plugin.create_model` with the interface of the hub.

    The arguments are stored in ``config.json``.

    Args:
        name (str): One of :func:`~r21d_plugin.list_models`.
        num_classes (int): Number of classes; 0: the output is pooled features. Defaults to 400.
        in_channels (int): Input channels. Defaults to 3.
        clip_len (int, optional): Frames per clip, for R2D. Defaults to None: the paper's.
        base_channels (int): Filters of conv1. Defaults to 64.
        midplanes (str): See :class:`~r21d_plugin.models.R2Plus1D`. Defaults to ``'layer'``.
        norm_eps (float): Epsilon of batch norm. Defaults to 1e-3.
        drop_rate (float): Probability of dropout before the classifier. Defaults to 0.
        meta (dict, optional): Facts about the input and the classes, as plain data with the keys of
            ``PublicWeights``: ``clip_len``, ``fps``, ``mean``, ``std``, ``categories``, ...

    Raises:
        InputError: As for create_model, or if ``meta`` is not plain data or does not fit.
    """

    def __init__(
        self,
        name: str,
        num_classes: int = 400,
        in_channels: int = 3,
        clip_len: int | None = None,
        base_channels: int = 64,
        midplanes: str = 'layer',
        norm_eps: float = 1e-3,
        drop_rate: float = 0.0,
        meta: dict[str, Any] | None = None,
    ) -> None:
        arguments: Any = dict(base_channels=base_channels, midplanes=midplanes)
        arguments['norm_cfg'] = dict(type='BN3d', eps=float(norm_eps))
        backbone = create_model(name, None, in_channels, clip_len, features_only=True, **arguments)
        super().__init__(backbone, num_classes, drop_rate)
        self.arguments = dict(
            name=name,
            in_channels=in_channels,
            clip_len=clip_len,
            base_channels=base_channels,
            midplanes=midplanes,
            norm_eps=norm_eps,
        )
        self.meta = dict(meta or {})
        check_meta(self.meta, num_classes, in_channels)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier, without the names of its classes; see Classifier."""
        super().reset_classifier(num_classes)
        if hasattr(self, 'meta'):  # not while the network is built
            self.meta.pop('categories', None)

    @classmethod
    def _load_as_safetensor(
        cls, model: Any, model_file: str, map_location: str, strict: bool
    ) -> Any:
        load_weights(model, model_file, head='required')
        model.norm_eps_is_given = False  # other weights may bring another epsilon
        return model.to(map_location)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the arguments, and the weights with batch norm's epsilon in the file's header."""
        now = dict(num_classes=self.num_classes, drop_rate=self.drop_rate, meta=self.meta)
        now = dict(self.arguments, norm_eps=norm_eps(self), **now)
        write_json(Path(save_directory, 'config.json'), now)
        with atomic_write(Path(save_directory, 'model.safetensors')) as partial:
            partial.write_bytes(safetensors_bytes(self.state_dict(), {}))


def save_pretrained(
    model: Classifier, folder: str | Path, meta: Mapping[str, Any] | None = None
) -> None:
    """Write a network to a folder in the hub's format.

    Args:
        model (Classifier): A network of :func:`~r21d_plugin.create_model`, on any device, without
            ``features_only=True``.
        folder (str or Path): The folder, which is created. An existing ``README.md`` is kept.
        meta (Mapping, optional): See :class:`HubNetwork`, such as ``PublicWeights.X.meta``.
            Defaults to that of a network from the hub, else to nothing. ``categories`` default to
            the class names stored with the weights.

    Raises:
        InputError: If the model is not supported, ``meta`` does not fit it, or the folder is not
            writable.
    """
    with name_file_on_error(folder):
        hub_network(model, meta).save_pretrained(folder)


def push_to_hub(
    model: Classifier, repo_id: str, meta: Mapping[str, Any] | None = None, **kwargs: Any
) -> str:
    """Upload a network to the hub, and return the URL of the commit.

    Args:
        model (Classifier): See :func:`save_pretrained`.
        repo_id (str): Repository, ``'user/name'``, which is created if it does not exist.
        meta (Mapping, optional): See :func:`save_pretrained`.
        **kwargs: Arguments of the mixin's ``push_to_hub``: ``private``, ``token``, ``branch``, ...

    Raises:
        InputError: If the model is not supported, or ``meta`` does not fit it.
    """
    card = dict(repo_id=repo_id)
    network = hub_network(model, meta)
    address: str = network.push_to_hub(repo_id, model_card_kwargs=card, **kwargs)
    return address


def from_pretrained(name: str | Path, **kwargs: Any) -> HubNetwork:
    """Load a network from the hub, in evaluation mode and float32, on the CPU.

    Args:
        name (str or Path): A folder written by :func:`save_pretrained`, or a repository.
        **kwargs: Arguments of the mixin's ``from_pretrained``: ``revision``, ``token``,
            ``local_files_only``, ``cache_dir``, ...

    Raises:
        InputError: If the network is missing, or its files are damaged or of another model.
    """
    if Path(name).is_dir() and not Path(name, 'config.json').is_file():
        raise InputError(f'{name}: no config.json in it: name a folder of save_pretrained')
    try:
        network: HubNetwork = HubNetwork.from_pretrained(str(name), strict=True, **kwargs)
        return network.eval()
    except Exception as error:  # invalid files and a missing network can raise any exception
        raise InputError(f'{name}: cannot be loaded: {first_line(error)}') from error


def hub_network(model: Classifier, meta: Mapping[str, Any] | None) -> Any:
    """Copy a network to one for the hub; raise an InputError if the model is not supported."""
    if not isinstance(model, Classifier):
        remedy = 'save a network of create_model, without features_only=True'
        raise InputError(f'{type(model).__name__}: has no classifier: {remedy}')
    altered = InputError('the network was altered: save one as create_model builds it')
    arguments = {'num_classes': 0, **infer_network(model.state_dict())}
    eps = norm_eps(model)
    network = network_of(model.state_dict())
    if not network or eps is None:
        raise altered
    del arguments['network']
    if model.clip_len is not None:  # the shapes of R2D may be those of MC2 or f-R2D
        network, arguments['clip_len'] = f'r2d_{model.depth}', model.clip_len
    given = dict(categories=list(model.categories)) if model.categories else {}
    given.update(getattr(model, 'meta', {}) if meta is None else meta)
    copied = HubNetwork(
        network,
        norm_eps=eps,
        drop_rate=model.drop_rate,
        meta=given,
        **arguments,
    )
    try:
        copied.load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise altered from error
    return copied


def check_meta(meta: dict[str, Any], num_classes: int, in_channels: int) -> None:
    """Raise an InputError if ``meta`` contradicts the network."""
    try:
        json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise InputError(f'meta: {first_line(error)}: use numbers, text and lists') from error
    for key, count in dict(categories=num_classes, mean=in_channels, std=in_channels).items():
        found = meta.get(key)
        if found is None:
            continue
        if not isinstance(found, (list, tuple)):
            raise InputError(f'meta[{key!r}]={found!r}: give a list of {count}')
        if len(found) != count:
            raise InputError(f'meta[{key!r}]: has {len(found)} items, and the network {count}')
