"""Convert weights to a checkpoint of r21d_plugin, or to torchvision's format.

All formats of ``load_weights`` are supported. This package can use them without conversion.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from tabulate import tabulate


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='weights, file or URL')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument('--to', choices=['r21d', 'torchvision'], required=True, help='format')
    return parser.parse_args()


def convert(source: str, path: Path, to: str) -> dict[str, Any]:
    """Convert weights and return a report.

    Programs that read torchvision's files use a fixed epsilon of batch norm, so the difference is
    added to running variances. A variance can become negative, but not its sum with the epsilon.

    Raises:
        InputError: If the source has no network of this family with its classifier, or the result
            cannot be written.
    """
    from r21d_plugin import InputError
    from r21d_plugin.weights import read_weights, save_checkpoint
    from r21d_plugin.weights.formats import (
        EPS,
        format_network,
        infer_eps,
        infer_network,
        replace_prefixes,
    )
    from r21d_plugin.weights.loading import with_eps, with_target_scale

    weights = with_target_scale(read_weights(source))
    if 'fc.weight' not in weights.tensors:
        raise InputError(f'{source}: no weights of a single network with its classifier')
    tensors = weights.tensors
    given = eps = EPS if weights.eps is None else weights.eps
    if to == 'torchvision':
        eps = infer_eps(tensors)[0]
        checkpoint: Any = {
            key: value + (given - eps) if key.endswith('running_var') and given != eps else value
            for key, value in tensors.items()
        }
    else:
        named = replace_prefixes(tensors, {'fc.': 'cls_head.fc_cls.', '': 'backbone.'})
        checkpoint = dict(
            state_dict=with_eps(named, dict(backbone=eps)),
            meta=dict(dataset_meta=dict(classes=weights.classes)),
        )
    save_checkpoint(checkpoint, path)
    return {
        'source': f'{source}: {weights.format}',
        'network': format_network(infer_network(tensors)),
        'batch norm': f'for an epsilon of {eps:g}, running variances {given - eps:+g}',
        'of the source': f'an epsilon of {given:g}, {weights.reason or "which is known"}',
        'written': path,
    }


def main() -> None:
    """Convert and report."""
    args = parse_args()
    with errors_in_one_line():
        print(tabulate(convert(args.source, args.out, args.to).items(), tablefmt='plain'))


if __name__ == '__main__':
    main()
