"""Generate docs/paper.md, docs/weights.md, the model cards and mim's index.

With --check, only compare the files with the generated text.
"""

from __future__ import annotations

import argparse
import re
import sys
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from tabulate import tabulate

if TYPE_CHECKING:
    from experiments.study.paper import Row, Table
    from r21d_plugin.weights import Published
    from tools.complexity import Complexity

ROOT = Path(__file__).parents[1]
FAMILIES = dict(
    r2d='R2D: 2D convolutions over a whole clip, whose time conv1 folds away',
    fr2d='f-R2D: 2D convolutions over single frames',
    r3d='R3D: 3D convolutions',
    mc='MCx: 3D convolutions in the groups below x, 2D from there on',
    rmc='rMCx: 2D convolutions in the groups below x, 3D from there on',
    r2plus1d='R(2+1)D: A 2D convolution over space, then a 1D one over time',
)
"""The families and their descriptions."""

INTRODUCTION = """\
# The paper, row by row

Every result of Tran et al., *A Closer Look at Spatiotemporal Convolutions for Action Recognition*
(CVPR 2018), and a config with its network, data and recipe. `tools/write_docs.py` writes this page.

Train a row, then test its checkpoint:

```shell
mim train r21d_plugin configs/CONFIG.py --gpus 8
mim test r21d_plugin configs/CONFIG.py --checkpoint work_dirs/CONFIG/epoch_45.pth
```

The last epoch is 45 from scratch, 15 from Sports-1M to Kinetics, 8 on UCF101 and HMDB51, and 7 for
`r2plus1d_18_kinetics_32f_from_8f`.

A config whose name ends in `_from_...` starts from the last checkpoint of that pretraining in
`work_dirs`; `--cfg-options load_from=...` names another. A two-stream row joins the checkpoints of
its streams ([flow and two streams](flow.md#two-streams)), as the paper does, or trains both.

- **Accuracies are the paper's**, in per cent. We have run nothing on these four benchmarks, so the
  column `here` is empty.
- **Cost** is that of training, in 10^18 multiply-adds: the clips of the recipe times three times
  those of a forward pass.
- **GPU-hours** scale the paper's own training times by cost. On 64 GPUs, R(2+1)D-18 took 11.8 hours
  with 8 frames and 59.8 with 32 (Table 3), which is 270 and 340 GPU-hours per unit of cost; the
  column uses their mean. `python tools/benchmark/training.py configs/CONFIG.py` measures the clips
  per second of your GPU.

## The comparisons on made videos

`python -m experiments.study` repeats the comparisons of networks with 18 layers on made videos,
with paired seeds and a verdict for each claim by [a rule stated beforehand](study/design.md).
[The report](study/report.md) has the results.
"""

CARD = """\
# {title}

{convolutions}. Accuracies are the paper's, in per cent. GFLOPs are multiply-adds of a forward pass
on one clip, in 10^9. The [common card](README.md) has what holds for all families, such as intended
use and data. This page is written by `tools/write_docs.py`.

{table}

Public weights: {weights}.
"""

GENERATED = '<!-- The rest is written by tools/write_docs.py. -->\n'

INPUTS = """\
The preprocessing of `weights.transforms()`. It takes RGB in 0 to 255, in this order, or flow in
pixels, resizes frames to height x width or by their shorter side, and crops the centre of
112 x 112. Weights without a stated mean have no transforms.
"""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='compare, and fail if files differ')
    return parser.parse_args()


@lru_cache(maxsize=None)
def complexity(network: str, frames: int, channels: int, classes: int) -> Complexity:
    """Measure a network; cached, because many rows have the same network."""
    from tools.complexity import measure

    return measure(network, frames, 112, channels, classes)


def cost(row: Row) -> float:
    """Return the multiply-adds of training, in 10^18."""
    from mmengine.config import Config

    cfg = Config.fromfile(ROOT / f'configs/{row.config}.py')
    (epoch_size,) = cfg.train_dataloader.sampler.epoch_sizes.values()
    clips = cfg.train_cfg.max_epochs * epoch_size
    forward = sum(
        complexity(row.network, row.frames, channels, cfg.num_classes).gflops
        for channels in {'RGB': [3], 'flow': [2], 'two-stream': [3, 2]}[row.stream]
    )
    return 3 * clips * forward / 1e9


def hours(multiply_adds: float) -> float:
    """Estimate GPU-hours of training at the paper's published throughput, to two digits.

    Args:
        multiply_adds (float): Cost of training, in 10^18.
    """
    from experiments.study.paper import GPU_HOURS

    rates = [spent / cost(row) for row, spent in GPU_HOURS]
    return float(f'{multiply_adds * mean(rates):.2g}')


def percent(value: float | None) -> str:
    """Format an accuracy; empty if there is none."""
    return '' if value is None else f'{value:.1f}'


def as_table(rows: list[list], header: list[str]) -> str:
    """Format a Markdown table."""
    return tabulate(rows, header, tablefmt='github', disable_numparse=True)


def paper_page() -> str:
    """Build the page of the paper's results."""
    from experiments.study.paper import TABLES

    parts = [INTRODUCTION]
    header = ['row', 'config', 'network', 'frames', 'input', 'clip@1', 'video@1', 'video@5']
    for table in TABLES:
        rows = [
            [
                row.name,
                f'[{row.config}](../configs/{row.config}.py)',
                row.network,
                row.frames,
                row.stream,
                *map(percent, (row.clip1, row.video1, row.video5)),
                *((f'{cost(row):.1f}', f'{hours(cost(row)):,.0f}') if row.trained else ('', '')),
                '',
                row.remark,
            ]
            for row in table.rows
        ]
        text = as_table(rows, [*header, 'cost', 'GPU-hours', 'here', 'remark'])
        parts.append(f'## {table.title}\n\n{table.dataset}; {table.test}.\n\n{text}\n')
    return '\n'.join(parts)


def card(family: str) -> str:
    """Build the model card of a family."""
    from experiments.study.paper import TABLES
    from r21d_plugin import list_models, list_weights

    title, _, convolutions = FAMILIES[family].partition(': ')
    rows = [
        card_row(table, row)
        for table in TABLES
        for row in table.rows
        if family_of(row.network) == family and (row.clip1, row.video1) != (None, None)
    ]
    header = ['paper', 'row', 'network', 'benchmark', 'frames', 'input', 'parameters', 'GFLOPs']
    names = [name for name in list_models() if family_of(name) == family and list_weights(name)]
    links = ', '.join(f'[{name}](../docs/weights.md#{name})' for name in names)
    return CARD.format(
        title=title,
        convolutions=convolutions,
        table=as_table(rows, [*header, 'clip@1', 'video@1', 'video@5']),
        weights=links,
    )


def card_row(table: Table, row: Row) -> list:
    """Build a row with a result of the paper and the cost of a forward pass on one clip."""
    from r21d_plugin.datasets.annotations import CLASSES

    dataset = table.dataset.split(',')[0]
    classes = CLASSES[dataset.lower().replace('-', '')]
    streams = {'RGB': [3], 'flow': [2], 'two-stream': [3, 2]}[row.stream]
    costs = [complexity(row.network, row.frames, channels, classes) for channels in streams]
    return [
        table.title.partition(':')[0],
        f'[{row.name}](../configs/{row.config}.py)',
        row.network,
        dataset,
        row.frames,
        row.stream,
        f'{sum(cost.parameters for cost in costs):,}',
        f'{sum(cost.gflops for cost in costs):.1f}',
        *map(percent, (row.clip1, row.video1, row.video5)),
    ]


def weights_table(public: dict[str, Published]) -> str:
    """Build the table of public weights by name."""
    rows = [
        [
            f'`{name}`',
            f'[{weights.source}]({weights.url.partition("#")[0]})',
            weights.training,
            weights.clip_len or '',
            'RGB' if weights.in_channels == 3 else 'flow',
            '' if weights.fps is None else f'{weights.fps:g}',
            {0: 'none', None: ''}.get(weights.num_classes, weights.num_classes),
            f'{weights.eps:g}',
            *(percent(weights.metrics.get(name)) for name in ('clip@1', 'video@1', 'video@5')),
            measured(weights),
            f'[{weights.config}](../configs/{weights.config}.py)' if weights.config else '',
        ]
        for name, weights in public.items()
    ]
    header = ['name', 'source', 'trained on', 'frames', 'input', 'fps', 'classes', 'epsilon']
    return as_table(rows, [*header, 'clip@1', 'video@1', 'video@5', 'measured with', 'config'])


def measured(weights: Published) -> str:
    """Describe how accuracies were measured, and list those on other datasets."""
    others = [f'{name} {value:.1f}' for name, value in weights.metrics.items() if '@' not in name]
    return ', '.join([*others, weights.test]) if weights.metrics else ''


def notes(public: dict[str, Published]) -> str:
    """List the notes on weights, each with the names of its weights."""
    names: dict[str, list[str]] = {}
    for name, weights in public.items():
        if weights.note:
            names.setdefault(weights.note, []).append(f'`{name}`')
    return ''.join(f'\n- {", ".join(each)}: {note}.' for note, each in names.items())


def inputs_table() -> str:
    """Build the table of input frames, mean, deviation and license, by source."""
    from r21d_plugin.weights import PublicWeights

    rows: dict[tuple, list[str]] = {}
    for name, meta in ((member.name.lower(), member.meta) for member in PublicWeights):
        size = meta['resize_size'] if meta['in_channels'] == 3 else (128, 171)
        text = ' x '.join(map(str, size)) if isinstance(size, tuple) else size or ''
        values = (', '.join(f'{x:g}' for x in meta[key] or ()) for key in ('mean', 'std'))
        rows.setdefault((meta['source'], text, *values, meta['license']), []).append(name)
    sources = [row[0] for row in rows]
    cells = [
        [source, 'all' if sources.count(source) == 1 else example(names), *others]
        for (source, *others), names in rows.items()
    ]
    header = ['source', 'weights', 'frames resized to', 'mean', 'deviation', 'license']
    return as_table(cells, header)


def example(names: list[str]) -> str:
    """Return a single name, or the first one with a mention of the others."""
    return f'`{names[0]}`' if len(names) == 1 else 'all others'


def weights_page() -> str:
    """Build the page of public weights: the handwritten part, and the tables."""
    from r21d_plugin.models.factory import NETWORKS
    from r21d_plugin.weights.public import public_names

    by_hand, _, _ = (ROOT / 'docs/weights.md').read_text().partition(GENERATED)
    parts = [by_hand + GENERATED]
    for network in NETWORKS:
        if public := public_names(network):
            below = notes(public)
            parts.append(f'### {network}\n\n{weights_table(public)}\n' + (below and f'{below}\n'))
    parts.append(f'## Inputs and licenses\n\n{INPUTS}\n{inputs_table()}\n')
    return '\n'.join(parts)


def family_of(network: str) -> str:
    """Return the family of a network: r2d, fr2d, r3d, mc, rmc or r2plus1d."""
    return re.sub(r'(?<=mc)\d$', '', network.rpartition('_')[0])


def metafile() -> str:
    """Build the index of ``mim search`` and ``mim download``, with each config that has weights.

    ``mim search --model`` compares collections, which are the six families. ``--condition`` does
    not support spaces or parentheses, so names of metrics have none. mim 0.3.9 fails to download a
    model in the index that has no weights, so the other rows of the paper are only in
    docs/paper.md.
    """
    import yaml

    from r21d_plugin.weights import PublicWeights

    models: dict[str, dict] = {}
    for weights in (member.value for member in PublicWeights):
        if weights.config is not None:
            *pretraining, training = weights.training.split(', ')
            models[weights.config] = {
                'Name': weights.config,
                'In Collection': family_of(weights.network),
                'Config': f'configs/{weights.config}.py',
                'Metadata': {
                    'Frames': weights.clip_len,
                    'Input': 'RGB' if weights.in_channels == 3 else 'flow',
                    'Pretraining': ', '.join(pretraining) or 'none',
                    'Training Data': training,
                    'Published By': weights.source,
                    'Network': weights.network,
                },
                'Results': [
                    {
                        'Task': 'Action Recognition',
                        'Dataset': training,
                        'Metrics': dict(weights.metrics),
                    }
                ],
                'Weights': weights.url,
            }
    collections = [
        {'Name': family, 'README': 'README.md', 'Paper': 'https://arxiv.org/abs/1711.11248'}
        for family in dict.fromkeys(model['In Collection'] for model in models.values())
    ]
    index = dict(Collections=collections, Models=list(models.values()))
    facts = 'Accuracies are those that the publishers state.'
    return f'# Written by tools/write_docs.py. {facts}\n' + yaml.safe_dump(index, sort_keys=False)


def pages() -> dict[Path, str]:
    """Build all pages, by file."""
    written = {
        ROOT / 'docs/paper.md': paper_page(),
        ROOT / 'docs/weights.md': weights_page(),
        ROOT / 'configs/metafile.yml': metafile(),
    }
    for family in FAMILIES:
        written[ROOT / f'model_cards/{family}.md'] = card(family)
    return written


def main() -> None:
    """Write or compare all pages."""
    args = parse_args()
    for path, text in pages().items():
        if not args.check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(f'error: {path} is outdated: run tools/write_docs.py')


if __name__ == '__main__':
    main()
