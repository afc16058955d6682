"""Write docs/paper.md from the paper's results and the configs; --check only compares."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

if TYPE_CHECKING:
    from r21d_plugin.paper import Row

ROOT = Path(__file__).parents[1]

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
  those of a forward pass. Hours on a GPU have not been measured here. The paper gives, for 64 GPUs
  of its time, 11.8 hours for R(2+1)D-18 with 8 frames and 59.8 with 32 (Table 3): 270 and 340
  GPU-hours per unit of cost.
"""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='compare, and fail where it differs')
    return parser.parse_args()


def cost(row: 'Row') -> str:
    """Multiply-adds of training, in 10^18."""
    from mmengine.config import Config

    from r21d_plugin.evaluation.complexity import measure

    cfg = Config.fromfile(ROOT / f'configs/{row.config}.py')
    clips = cfg.train_cfg.max_epochs * cfg.train_dataloader.sampler.epoch_size
    forward = sum(
        measure(row.network, row.frames, 112, channels, cfg.num_classes).gflops
        for channels in {'RGB': [3], 'flow': [2], 'two-stream': [3, 2]}[row.stream]
    )
    return f'{3 * clips * forward / 1e9:.1f}'


def paper_page() -> str:
    """The page of the paper's results."""
    from r21d_plugin.paper import TABLES

    def percent(value: float | None) -> str:
        return '' if value is None else f'{value:.1f}'

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
        text = tabulate(rows, [*header, 'here', 'remark'], tablefmt='github', disable_numparse=True)
        parts.append(f'## {table.title}\n\n{table.dataset}; {table.test}.\n\n{text}\n')
    return '\n'.join(parts)


def main() -> None:
    """Write, or compare."""
    args = parse_args()
    path = ROOT / 'docs/paper.md'
    text = paper_page()
    if not args.check:
        path.write_text(text)
    elif path.read_text() != text:
        sys.exit(f'error: {path} is not as tools/write_docs.py would write it: run it')


if __name__ == '__main__':
    main()
