"""Time tests, training steps and networks beside their peers, on a CPU.

A row compares both sides in one type and with one allocator: once with memory as the C library
gives it, once with freed memory kept (r21d_plugin.engine.keep_freed_memory, which our commands
choose). For each, all contestants of a measure run in turn, again and again, in a process of its
own; ratios, peer to ours, are medians of the turns, and results are compared in the same run. Peers
run MMAction2's own pipeline and recognizer, or torchvision's network (where it cannot be imported,
ours by PyTorch's 3D convolutions): as it is, compiled, and by ONNX Runtime and OpenVINO where these
are installed. `per GFLOP` are other networks that MMAction2 and PyTorchVideo call R(2+1)D: their
seconds are those of our work at their rate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Dict

import torch
from contestants import MEASURES, Measure, dtypes, run
from readers import make_video
from tabulate import tabulate

from experiments.machine import processor_name

FIGURES = Path('work_dirs/benchmark/speed.json')
ALLOCATORS = ('as given', 'kept')
PACKAGES = ('torchvision', 'mmaction2', 'pytorchvideo', 'onnxruntime', 'openvino')
HEADER = ['measure', 'both in', 'peer', 'peer s', 'ours s']
HEADER += ['ratio, freed memory kept', 'spread', 'ratio, as given', 'spread']
HEADER += ['ours, of ceiling', 'difference']

Found = Dict[str, Dict[str, Any]]
"""What :func:`contestants.run` found, by allocator and by ``'MEASURE, TYPE'``."""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--only', nargs='+', metavar='TEXT', help='measures whose names have one of these in them'
    )
    parser.add_argument('--repeats', type=int, default=7, help='measurements of each (7)')
    parser.add_argument(
        '--threads', type=int, default=1, help='threads of each (1: by CPU time; else elapsed)'
    )
    parser.add_argument(
        '--figures', type=Path, default=FIGURES, help=f'JSON of all figures ({FIGURES})'
    )
    parser.add_argument('--read', action='store_true', help='measure nothing: print those figures')
    parser.add_argument(
        '--page', type=Path, help='page to write the table into, between its lines <!-- speed -->'
    )
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_all(
    measures: Sequence[Measure],
    threads: int,
    repeats: int,
    allocators: Sequence[str] = ALLOCATORS,
) -> dict[str, Any]:
    """Measure in each type that this machine is fast in, each in a process of its own.

    Returns:
        dict: ``machine``, what it is, and ``found``.
    """
    found: Found = {}
    with tempfile.TemporaryDirectory() as folder:
        video = make_video(Path(folder, 'video.mp4'), (340, 256), 300, seed=0)
        for measure in measures:
            for dtype in dtypes(measure):
                print(f'{measure.name}, {dtype}', file=sys.stderr)
                found[f'{measure.name}, {dtype}'] = {
                    allocator: run_worker(
                        [measure, dtype, allocator == 'kept', threads, repeats, str(video)]
                    )
                    for allocator in allocators
                }
    return dict(machine=machine(threads), found=found)


def run_worker(task: list) -> dict[str, Any]:
    """Call :func:`contestants.run` in a process of its own."""
    command = [sys.executable, '-W', 'ignore', __file__, '--worker', json.dumps(task)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f'error: {task[0][0]}: see above')
    return json.loads(result.stdout.splitlines()[-1])


def work(task: str) -> None:
    """Be the process that measures."""
    measure, *rest = json.loads(task)
    print(json.dumps(run(Measure(*measure), *rest)))


def machine(threads: int) -> dict[str, Any]:
    """What this machine, its load and its software are."""
    found = dict(
        processor=processor_name(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        cores=os.cpu_count(),
        threads=threads,
        load=round(os.getloadavg()[0], 1),
        python=platform.python_version(),
        torch=torch.__version__,
    )
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def ratios_of(result: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of each peer over ours, of each turn."""
    ours = result['seconds']['ours']
    return {
        peer: [theirs / mine for theirs, mine in zip(seconds, ours)]
        for peer, seconds in result['seconds'].items()
        if peer != 'ours'
    }


def rows_of(found: Found) -> list[list[str]]:
    """Rows of the table: ours beside each peer."""
    rows = []
    for name, results in found.items():
        measure, _, dtype = name.rpartition(', ')
        last = results['kept']
        share = '' if last['share'] is None else f'{last["share"]:.0%}'
        difference = last['difference'].get('ours')
        for peer in ratios_of(last):
            seconds = (median(last['seconds'][who]) for who in (peer, 'ours'))
            row = [measure, dtype, peer, *(f'{value:.3f}' for value in seconds)]
            for allocator in ('kept', 'as given'):
                values = ratios_of(results[allocator])[peer]
                row += [f'{median(values):.2f}', f'{min(values):.2f}-{max(values):.2f}']
            rows.append([*row, share, '' if difference is None else f'{difference:.0e}'])
    return rows


def markdown(figures: dict[str, Any]) -> str:
    """The table and what was measured on."""
    table = tabulate(rows_of(figures['found']), HEADER, tablefmt='github', disable_numparse=True)
    facts = (f'{key} {value}' for key, value in figures['machine'].items() if value is not None)
    return f'{table}\n\n{", ".join(facts)}.'


def write_page(page: Path, text: str) -> None:
    """Replace what is between the two marks of a page."""
    mark = '<!-- speed -->'
    before, _, after = page.read_text().split(mark)
    page.write_text(f'{before}{mark}\n\n{text}\n\n{mark}{after}')


def main() -> None:
    """Measure and print."""
    args = parse_args()
    if args.worker:
        work(args.worker)
        return
    measures = [m for m in MEASURES if not args.only or any(text in m.name for text in args.only)]
    if not measures or min(args.repeats, args.threads) < 1:
        sys.exit('error: nothing to measure: see --only, --repeats and --threads')
    if args.read:
        figures = json.loads(args.figures.read_text())
    else:
        figures = measure_all(measures, args.threads, args.repeats)
        args.figures.parent.mkdir(parents=True, exist_ok=True)
        args.figures.write_text(json.dumps(figures) + '\n')
    print(text := markdown(figures))
    if args.page:
        write_page(args.page, text)


if __name__ == '__main__':
    main()
