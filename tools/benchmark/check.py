"""Compare the speed ratios of a short run with the committed ones; exit with 1 if any dropped.

A ratio is a peer's time divided by ours, with the same dtype and with freed memory kept. Each turn
of a run gives a ratio, and the median of the turns is compared. A ratio has dropped if the
committed value exceeds it by more than the noise: the range over the run's turns, or 5%, the
difference between medians of two runs. Use this script for releases, not for tests: it takes half
an hour, and ratios depend on the kind of machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from contestants import MEASURES
from speed import measure_all, ratios_of

FLOOR = 0.05
RATIOS = Path(__file__).with_name('ratios.json')


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=5, help='turns of the run (5)')
    parser.add_argument('--ratios', type=Path, default=RATIOS, help=f'committed ratios ({RATIOS})')
    parser.add_argument(
        '--figures', type=Path, help='figures of tools/benchmark/speed.py; default: run it'
    )
    parser.add_argument('--write', action='store_true', help='commit the ratios of --figures')
    return parser.parse_args()


def turns_of(figures: dict[str, Any]) -> dict[str, list[float]]:
    """Return the ratios of the turns of a run, by ``'MEASURE, TYPE, PEER'``."""
    return {
        f'{name}, {peer}': ratios
        for name, results in figures['found'].items()
        for peer, ratios in ratios_of(results['kept']).items()
    }


def compare(committed: dict[str, float], found: dict[str, list[float]]) -> tuple[list[str], bool]:
    """Return a line for each committed ratio, and whether any dropped."""
    lines, any_fell = [], False
    for name, before in committed.items():
        if name not in found:
            lines.append(f'{name}: not measured')
            continue
        now = median(found[name])
        noise = max(max(found[name]) - min(found[name]), FLOOR * before)
        fell = before - now > noise
        any_fell |= fell
        verdict = 'fell' if fell else 'ok'
        lines.append(f'{name}: {before:.2f} -> {now:.2f}, noise {noise:.2f}: {verdict}')
    return lines, any_fell


def main() -> None:
    """Measure, or read, and compare."""
    args = parse_args()
    committed = json.loads(args.ratios.read_text()) if args.ratios.exists() else dict(ratios={})
    due = [m for m in MEASURES if any(key.startswith(m.name) for key in committed['ratios'])]
    if args.figures:
        figures = json.loads(args.figures.read_text())
    elif not due or args.repeats < 2:
        sys.exit(
            'error: nothing to compare: see --ratios, and --repeats, which has to be 2 or more'
        )
    else:
        figures = measure_all(due, 1, args.repeats, ['kept'])
    found = turns_of(figures)
    if args.write:
        ratios = {name: round(median(values), 3) for name, values in found.items()}
        text = json.dumps(dict(machine=figures['machine'], ratios=ratios), indent=1)
        args.ratios.write_text(text + '\n')
        return
    for kind in ('processor', 'instructions'):
        if (before := committed['machine'][kind]) != (now := figures['machine'][kind]):
            print(f'{kind}: committed for {before}, this is {now}')
    lines, any_fell = compare(committed['ratios'], found)
    print('\n'.join(lines))
    if any_fell:
        sys.exit(1)


if __name__ == '__main__':
    main()
