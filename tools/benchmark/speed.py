"""Compare the speed of tests, training steps and networks with peers, on a CPU.

A row compares both sides with the same dtype and allocator: once with the C library's default
settings, once with freed memory kept (r21d_plugin.engine.keep_freed_memory, as in our commands).
For each, all contestants of a measure take turns in a separate process. Ratios, peer to ours, are
medians over the turns, and outputs are compared in the same run. Peers are MMAction2's pipeline and
recognizer, or torchvision's network (our network with PyTorch's 3D convolutions if torchvision
cannot be imported): eager, compiled, and with ONNX Runtime and OpenVINO if installed. `per GFLOP`
rows are other networks that MMAction2 and PyTorchVideo call R(2+1)D; their time is scaled to our
FLOP count.
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
"""Results of :func:`contestants.run`, by allocator and by ``'MEASURE, TYPE'``."""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--only', nargs='+', metavar='TEXT', help='measures whose names contain one of these'
    )
    parser.add_argument('--repeats', type=int, default=7, help='measurements of each (7)')
    parser.add_argument(
        '--threads', type=int, default=1, help='threads of each (1: by CPU time; else elapsed)'
    )
    parser.add_argument(
        '--figures', type=Path, default=FIGURES, help=f'JSON of all figures ({FIGURES})'
    )
    parser.add_argument('--read', action='store_true', help='print these figures, do not measure')
    parser.add_argument(
        '--page', type=Path, help='page to write the table to, between its lines <!-- speed -->'
    )
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_all(
    measures: Sequence[Measure],
    threads: int,
    repeats: int,
    allocators: Sequence[str] = ALLOCATORS,
) -> dict[str, Any]:
    """Measure with each dtype that is fast on this machine, each in a separate process.

    Returns:
        dict: ``machine``, a description of it, and ``found``, the results.
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
    """Call :func:`contestants.run` in a separate process."""
    command = [sys.executable, '-W', 'ignore', __file__, '--worker', json.dumps(task)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f'error: {task[0][0]}: see above')
    return json.loads(result.stdout.splitlines()[-1])


def work(task: str) -> None:
    """Run a measurement in this process and print the result."""
    measure, *rest = json.loads(task)
    print(json.dumps(run(Measure(*measure), *rest)))


def machine(threads: int) -> dict[str, Any]:
    """Describe this machine, its load and its software."""
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
    """Return the ratios of each peer's seconds to ours, for each turn."""
    ours = result['seconds']['ours']
    return {
        peer: [theirs / mine for theirs, mine in zip(seconds, ours)]
        for peer, seconds in result['seconds'].items()
        if peer != 'ours'
    }


def rows_of(found: Found) -> list[list[str]]:
    """Build the rows of the table, which compare ours with each peer."""
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
    """Format the table and the description of the machine."""
    table = tabulate(rows_of(figures['found']), HEADER, tablefmt='github', disable_numparse=True)
    facts = (f'{key} {value}' for key, value in figures['machine'].items() if value is not None)
    return f'{table}\n\n{", ".join(facts)}.'


def write_page(page: Path, text: str) -> None:
    """Replace the text between the two marks of a page."""
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
