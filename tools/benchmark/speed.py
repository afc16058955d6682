"""Time networks, training steps, decoding and whole tests beside their peers, side by side.

All contestants of a measure run in turn, again and again, in one process, once with memory as the
C library gives it and once with freed memory kept (r21d_plugin.engine.keep_freed_memory), which
our scripts choose. Ratios are those of medians; what they compute is compared in the same run.
Peers: torchvision, where it can be imported; the same network by PyTorch's own 3D convolutions;
MMAction2's pipeline and recognizer; and, as if their work were equal, the other networks that
MMAction2 and PyTorchVideo call R(2+1)D.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from contestants import FAMILY, MEASURES, Measure
from tabulate import tabulate


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--only', nargs='+', metavar='TEXT', help='measures whose names have one of these in them'
    )
    parser.add_argument(
        '--family',
        action='store_true',
        help='all networks, 18 and 34 layers, one clip of 8, 16 and 32 frames, instead',
    )
    parser.add_argument('--repeats', type=int, default=7, help='measurements of each (7)')
    parser.add_argument('--threads', type=int, default=2, help='threads of torch (2)')
    parser.add_argument('--video', type=Path, help='video to decode; default: one is made')
    parser.add_argument('--json', type=Path, help='file to write all figures to')
    parser.add_argument('--plot', type=Path, metavar='PNG', help='picture to write')
    parser.add_argument('--markdown', action='store_true', help='print a table of Markdown')
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    return parser.parse_args()


def run_worker(
    measures: list[Measure], kept: bool, args: argparse.Namespace, video: Path
) -> list[dict]:
    """Run measures in a process of their own and return what it found."""
    task = json.dumps([measures, kept, args.threads, args.repeats, str(video)])
    command = [sys.executable, '-W', 'ignore', __file__, '--worker', task]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f'error: {measures[0].name}: see above')
    return json.loads(result.stdout.splitlines()[-1])


def work(task: str) -> None:
    """Be the process that measures."""
    from contestants import run

    measures, *rest = json.loads(task)
    print(json.dumps([run(Measure(*measure), *rest) for measure in measures]))


def rows_of(measure: Measure, given: dict, kept: dict) -> list[list[str]]:
    """Rows of the table: ours against each peer."""
    ours = {name: median(values) for name, values in kept['seconds'].items()}
    as_given = {name: median(values) for name, values in given['seconds'].items()}
    rows = []
    for name in (name for name in ours if name.startswith('ours')):
        for peer in (peer for peer in ours if not peer.startswith('ours')):
            pairs = zip(given['seconds'][peer], kept['seconds'][name])
            ratios = [a / b for a, b in pairs]
            share = measure_share(name, kept, ours[name])
            difference = kept['difference'].get(name)
            rows.append(
                [
                    measure.name,
                    peer,
                    name.replace('ours, ', '', 1),
                    f'{as_given[peer]:.3f}',
                    f'{ours[name]:.3f}',
                    f'{as_given[peer] / ours[name]:.2f}',
                    f'{min(ratios):.2f}-{max(ratios):.2f}',
                    f'{as_given[peer] / as_given[name]:.2f}',
                    f'{ours[peer] / ours[name]:.2f}',
                    share,
                    '' if difference is None else f'{difference:.0e}',
                ]
            )
    return rows


def measure_share(name: str, kept: dict, seconds: float) -> str:
    """Part of the machine's rate that is reached, where it is arithmetic that is measured."""
    if not kept['gflop']:
        return ''
    ceiling = kept['ceiling']['bfloat16' if 'bfloat16' in name else 'float32']
    return f'{kept["gflop"] / seconds / ceiling:.0%}'


HEADER = ['measure', 'peer', 'ours', 'peer s', 'ours s', 'ratio', 'spread']
HEADER += ['as given', 'both kept', 'of ceiling', 'difference']


def plot(table: list[list[str]], path: Path) -> None:
    """Draw the ratios, a bar for each row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.35 * len(table) + 1), layout='constrained')
    axes = figure.subplots()
    names = [f'{row[0]}, {row[2]}, against {row[1]}' for row in table]
    axes.barh(names, [float(row[5]) for row in table], color='tab:blue')
    axes.bar_label(axes.containers[0], [f'{float(row[5]):.2f}' for row in table], padding=3)  # type: ignore[arg-type]
    axes.margins(x=0.25, y=0.01)
    axes.axvline(1, color='black', linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel('times as fast as the peer')
    figure.savefig(path, dpi=120)


def machine() -> dict[str, Any]:
    """What this machine and its software are."""
    import torch

    from experiments.machine import processor_name

    lines = Path('/proc/cpuinfo').read_text().splitlines()
    flags = next((line for line in lines if line.startswith('flags')), '').split()
    return dict(
        processor=processor_name(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        bfloat16=[flag for flag in ('avx512_bf16', 'amx_bf16') if flag in flags],
        cores=os.cpu_count(),
        python=platform.python_version(),
        torch=torch.__version__,
    )


def make_video(folder: Path) -> Path:
    """Encode a video of 10 s, 340 x 256 pixels, of moving texture."""
    import cv2
    import numpy as np

    path = folder / 'video.mp4'
    rng = np.random.default_rng(0)
    canvas = cv2.GaussianBlur(rng.uniform(0, 255, (600, 700, 3)), (0, 0), 3).astype(np.uint8)
    fourcc = cv2.VideoWriter_fourcc(*'mp4v')  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(path), fourcc, 30, (340, 256))
    for i in range(300):
        writer.write(np.ascontiguousarray(canvas[i : i + 256, i : i + 340]))
    writer.release()
    return path


def main() -> None:
    """Measure and print."""
    args = parse_args()
    if args.worker:
        return work(args.worker)
    measures = FAMILY if args.family else MEASURES
    if args.only:
        measures = [m for m in measures if any(text in m.name for text in args.only)]
    if not measures or args.repeats < 1:
        sys.exit('error: nothing to measure: see --only and --repeats')
    found: dict[str, dict] = {}
    table: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        video = args.video or make_video(Path(folder))
        for _, group in groupby(measures, lambda m: m.network if args.family else m.name):
            together = list(group)
            print(together[0].name, file=sys.stderr)
            runs = (run_worker(together, kept, args, video) for kept in (False, True))
            for measure, given, kept in zip(together, *runs):
                found[measure.name] = dict(as_given=given, kept=kept)
                table += rows_of(measure, given, kept)
    form = 'github' if args.markdown else 'simple'
    print(tabulate(table, HEADER, tablefmt=form, disable_numparse=True))
    ceilings = [result['kept']['ceiling'] for result in found.values()]
    rates = {kind: round(median(ceiling[kind] for ceiling in ceilings)) for kind in ceilings[0]}
    copy = rates.pop('copy')
    arithmetic = ', '.join(f'{rate} GFLOP/s in {dtype}' for dtype, rate in rates.items())
    print(f'\nceiling: {arithmetic}, copy {copy} GB/s')
    print(', '.join(f'{key} {value}' for key, value in machine().items()))
    if args.json:
        args.json.write_text(json.dumps(dict(machine=machine(), measures=found), indent=1) + '\n')
    if args.plot:
        plot(table, args.plot)


if __name__ == '__main__':
    main()
