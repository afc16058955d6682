"""Train and test a config on the three splits of UCF101 or HMDB51, and average (Table 6).

Run the same command again to resume an interrupted run.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

SPLITS = ('1', '2', '3')
TOOLS = Path(__file__).parent


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path, help='config of UCF101 or HMDB51')
    parser.add_argument(
        '--work-dir', type=Path, help='folder with one subfolder per split (work_dirs/CONFIG)'
    )
    parser.add_argument(
        '--checkpoint',
        help='only test this checkpoint; {split} in it is replaced by 1, 2 and 3',
    )
    parser.add_argument('--gpus', default='1', help='GPUs to train on; 0: the CPU (1)')
    parser.add_argument('--cfg-options', nargs='+', default=[], help='config values to override')
    return parser.parse_args()


def run(split: str, script: str, *arguments: object) -> None:
    """Run train.py or test.py on a split, and exit with its status if it fails."""
    command = [sys.executable, TOOLS / script, *arguments]
    status = subprocess.run([str(word) for word in command], env=dict(os.environ, SPLIT=split))
    if status.returncode:
        sys.exit(f'error: split {split}: {script} failed, see above')


def main() -> None:
    """Train, test and print the table."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line

    with errors_in_one_line():
        from r21d_plugin import InputError
        from r21d_plugin.cli.launch import find_config
        from r21d_plugin.evaluation.results import ACCURACIES, accuracy_table, last_test

        find_config(str(args.config))
        if '_ucf101_' not in args.config.name and '_hmdb51_' not in args.config.name:
            raise InputError(f'{args.config}: has no splits: use a config of UCF101 or HMDB51')
        rows = {}
        for split in SPLITS:
            work_dir = (args.work_dir or Path('work_dirs', args.config.stem)) / f'split{split}'
            options = ['--cfg-options', *args.cfg_options] if args.cfg_options else []
            common = ['--work-dir', work_dir, *options]
            if args.checkpoint is None:
                run(split, 'train.py', args.config, '--resume', '--gpus', args.gpus, *common)
                checkpoint = (work_dir / 'last_checkpoint').read_text()
            else:
                checkpoint = args.checkpoint.replace('{split}', split)
            cpu = ['--device', 'cpu'] if args.gpus == '0' else []
            run(split, 'test.py', args.config, checkpoint, *cpu, *common)
            rows[f'split {split}'] = last_test(work_dir)
        rows['mean'] = {
            metric: sum(row[metric] for row in rows.values()) / len(SPLITS) for metric in ACCURACIES
        }
        print(accuracy_table(rows, args.config.stem))


if __name__ == '__main__':
    main()
