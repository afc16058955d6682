"""Write docs/paper.md, the model cards and mim's index from results, configs and measurements.

--check only compares. --measure times the networks first, into model_cards/speed.json.
"""

import argparse
import json
import platform
import sys
import time
from functools import cache
from pathlib import Path
from statistics import median
from string import Template
from typing import TYPE_CHECKING

from tabulate import tabulate

if TYPE_CHECKING:
    from r21d_plugin.evaluation.complexity import Complexity
    from r21d_plugin.paper import Row, Table

ROOT = Path(__file__).parents[1]
CARDS = ROOT / 'model_cards'

CARD_INDEX = """\
# Model cards

One card per network and benchmark of the paper, in the structure of Mitchell et al., [*Model Cards
for Model Reporting*](https://arxiv.org/abs/1810.03993), written by `tools/write_docs.py`. This
project publishes no weights yet.

| network | benchmark | card |
|---|---|---|
"""

INTRODUCTION = """\
# The paper, row by row

Every result of Tran et al., *A Closer Look at Spatiotemporal Convolutions for Action Recognition*
(CVPR 2018), and the config that is to reproduce it. This page is written by `tools/write_docs.py`.

Train and test a row, from its own checkpoint:

```shell
mim train r21d_plugin configs/CONFIG.py --gpus 8
mim test r21d_plugin configs/CONFIG.py --checkpoint work_dirs/CONFIG/epoch_45.pth
```

A config that ends in `_from_...` begins with the last checkpoint of that pretraining in
`work_dirs`; `--cfg-options load_from=...` names another. A two-stream row is tested with the joined
checkpoints of its streams (`tools/fuse_checkpoints.py`), as the paper does, or trained jointly.

- **Accuracies are the paper's**, in per cent: published, not ours. On these four benchmarks nothing
  has been run here, so the column of what was reproduced here is empty. What was run is in the
  README.
- **Cost** is that of training, in 10^18 multiply-adds: the clips of the recipe times three times
  those of a forward pass. Hours on a GPU have not been measured here, as there was none:
  `python tools/benchmark/training.py configs/CONFIG.py` measures them on yours. The paper gives,
  for 64 GPUs of its time, 11.8 hours for R(2+1)D-18 with 8 frames and 59.8 with 32 (Table 3): 270
  and 340 GPU-hours per unit of cost.
"""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='compare, and fail where it differs')
    parser.add_argument('--measure', action='store_true', help='time the networks on this machine')
    return parser.parse_args()


@cache
def complexity(network: str, frames: int, channels: int, classes: int) -> 'Complexity':
    """Measure a network, which many rows have in common, once."""
    from r21d_plugin.evaluation.complexity import measure

    return measure(network, frames, 112, channels, classes)


def cost(row: 'Row') -> str:
    """Multiply-adds of training, in 10^18."""
    from mmengine.config import Config

    cfg = Config.fromfile(ROOT / f'configs/{row.config}.py')
    clips = cfg.train_cfg.max_epochs * cfg.train_dataloader.sampler.epoch_size
    forward = sum(
        complexity(row.network, row.frames, channels, cfg.num_classes).gflops
        for channels in {'RGB': [3], 'flow': [2], 'two-stream': [3, 2]}[row.stream]
    )
    return f'{3 * clips * forward / 1e9:.1f}'


def percent(value: float | None) -> str:
    """An accuracy, empty where there is none."""
    return '' if value is None else f'{value:.1f}'


def as_table(rows: list[list], header: list[str]) -> str:
    """A table of Markdown."""
    return tabulate(rows, header, tablefmt='github', disable_numparse=True)


def paper_page() -> str:
    """The page of the paper's results."""
    from r21d_plugin.paper import TABLES

    parts = [INTRODUCTION]
    header = ['row', 'config', 'network', 'frames', 'input', 'clip@1', 'video@1', 'video@5', 'cost']
    for table in TABLES:
        rows = [
            [
                row.name,
                f'[{row.config}](../configs/{row.config}.py)',
                row.network,
                row.frames,
                row.stream,
                *map(percent, (row.clip1, row.video1, row.video5)),
                cost(row) if row.trained else '',
                '',
                row.remark,
            ]
            for row in table.rows
        ]
        text = as_table(rows, [*header, 'here', 'remark'])
        parts.append(f'## {table.title}\n\n{table.dataset}; {table.test}.\n\n{text}\n')
    return '\n'.join(parts)


def measure_speed(names: list[str]) -> None:
    """Time a forward pass of 8 frames of each network on one core, in turn."""
    import torch

    from r21d_plugin import create_model

    torch.set_num_threads(1)
    models = {name: create_model(name, clip_len=8).eval() for name in names}
    clip = torch.randn(1, 3, 8, 112, 112)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with torch.inference_mode():
        for _ in range(6):
            for name, model in models.items():
                start = time.perf_counter()
                model(clip)
                seconds[name].append(time.perf_counter() - start)
    speed = {name: round(median(values[1:]), 3) for name, values in seconds.items()}
    content = dict(machine=processor(), torch=torch.__version__, seconds=speed)
    (CARDS / 'speed.json').write_text(json.dumps(content, indent=1) + '\n')


def processor() -> str:
    """Name of this machine's processor."""
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()


def card_names() -> dict[tuple[str, str], list[tuple['Table', 'Row']]]:
    """Results by network and benchmark, each of which has a card."""
    from r21d_plugin.paper import TABLES

    cards: dict[tuple[str, str], list[tuple[Table, Row]]] = {}
    for table in TABLES:
        for row in table.rows:
            cards.setdefault((row.network, table.dataset.split(',')[0]), []).append((table, row))
    return cards


def card(network: str, dataset: str, results: list[tuple['Table', 'Row']]) -> str:
    """The model card of a network on a benchmark."""
    from r21d_plugin.paper import BENCHMARKS, PUBLIC_WEIGHTS, RELEASED

    benchmark = BENCHMARKS[dataset]
    costs = []
    for frames, stream in sorted({(row.frames, row.stream) for _, row in results}):
        if stream != 'two-stream':
            channels = dict(RGB=3, flow=2)[stream]
            found = complexity(network, frames, channels, benchmark.classes)
            costs.append([frames, stream, f'{found.parameters:,}', f'{found.gflops:.1f}'])
    speed = json.loads((CARDS / 'speed.json').read_text())
    rows = [
        [
            table.title.partition(':')[0],
            f'[{row.name}](../configs/{row.config}.py)',
            row.frames,
            row.stream,
            *map(percent, (row.clip1, row.video1, row.video5)),
        ]
        for table, row in results
        if (row.clip1, row.video1) != (None, None)
    ]
    header = ['paper', 'row', 'frames', 'input', 'clip@1', 'video@1', 'video@5']
    released = RELEASED.get(network) if dataset == 'Kinetics-400' else None
    return Template((CARDS / 'template.md').read_text()).substitute(
        network=network,
        dataset=dataset,
        classes=benchmark.classes,
        videos=benchmark.videos,
        licence=benchmark.licence,
        split=benchmark.split,
        costs=as_table(costs, ['frames', 'input', 'parameters', 'GFLOPs']),
        seconds=speed['seconds'][network],
        machine=speed['machine'],
        torch=speed['torch'],
        results=as_table(rows, header) if rows else 'none but the curves of its figures.',
        released=(
            'not published for this network and benchmark'
            if released is None
            else '{} frames, RGB: {} / {} / {}'.format(*released)
        ),
        weights=PUBLIC_WEIGHTS.get((network, dataset), 'none that we know of'),
    )


def metafile() -> str:
    """The index that ``mim search`` reads, a model for each config of the paper.

    None has weights: mim 0.3.9 breaks off a download where some models of an
    index have them and others do not.
    """
    import yaml

    from r21d_plugin.paper import TABLES

    models: dict[str, dict] = {}
    for table in TABLES:
        for row in table.rows:
            model: dict = {
                'Name': row.config,
                'In Collection': 'r(2+1)d',
                'Config': f'configs/{row.config}.py',
                'Metadata': {'Network': row.network, 'Frames': row.frames, 'Input': row.stream},
            }
            model = models.setdefault(row.config, model)
            accuracies = {'clip@1': row.clip1, 'video@1': row.video1, 'video@5': row.video5}
            published = {f'{k} (published)': v for k, v in accuracies.items() if v is not None}
            if published and row.trained:
                dataset = table.dataset.partition(',')[0]
                new = {'Task': 'Action Recognition', 'Dataset': dataset, 'Metrics': {}}
                model.setdefault('Results', [new])[0]['Metrics'].update(published)
    collection = {
        'Name': 'r(2+1)d',
        'README': 'README.md',
        'Paper': 'https://arxiv.org/abs/1711.11248',
    }
    index = dict(Collections=[collection], Models=list(models.values()))
    return '# Written by tools/write_docs.py.\n' + yaml.safe_dump(index, sort_keys=False)


def pages() -> dict[Path, str]:
    """All pages, by file."""
    written = {
        ROOT / 'docs/paper.md': paper_page(),
        ROOT / 'configs/metafile.yml': metafile(),
    }
    index = []
    for (network, dataset), results in sorted(card_names().items()):
        path = CARDS / f'{network}_{dataset.lower().replace("-", "")}.md'
        written[path] = card(network, dataset, results)
        index.append(f'| {network} | {dataset} | [{path.name}]({path.name}) |')
    written[CARDS / 'README.md'] = CARD_INDEX + '\n'.join(index) + '\n'
    return written


def main() -> None:
    """Write, or compare."""
    args = parse_args()
    if args.measure:
        measure_speed(sorted({network for network, _ in card_names()}))
    for path, text in pages().items():
        if not args.check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(f'error: {path} is not as tools/write_docs.py would write it: run it')


if __name__ == '__main__':
    main()
