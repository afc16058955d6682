"""Fuzz one of the readers of this folder with atheris: ``python run.py pickles --seconds 60``.

Begins with the committed seeds. A crash, a hang or more than 2 GiB of memory ends it with the input
in a file that it names; that input belongs into corpus/ once the cause is mended.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent


def main() -> None:
    """Fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('target', choices=['annotations', 'pickles', 'weight_files'])
    parser.add_argument('--seconds', type=int, default=60)
    args = parser.parse_args()
    sys.path[0] = str(HERE.parent)
    target = importlib.import_module(f'fuzz.{args.target}')
    for name in target.INSTRUMENTED:
        instrument(importlib.import_module(name))
    with tempfile.TemporaryDirectory() as found:
        limits = ['-timeout=20', '-rss_limit_mb=2048', f'-max_total_time={args.seconds}']
        folders = [found, str(HERE / 'corpus' / args.target)]
        atheris.Setup([sys.argv[0], *limits, '-print_final_stats=1', *folders], target.check)
        atheris.Fuzz()


def instrument(module) -> None:
    """Have a module that is imported already report which of its lines run."""
    for item in vars(module).values():
        if getattr(item, '__module__', None) == module.__name__:
            members = vars(item).values() if isinstance(item, type) else [item]
            for member in members:
                function = getattr(member, '__wrapped__', member)
                if hasattr(function, '__code__'):
                    atheris.instrument_func(function)


if __name__ == '__main__':
    main()
