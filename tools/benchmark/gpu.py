"""Compare the speed of training steps and inference with peers, on a GPU.

The contestants of a group use the same batch of random clips and take turns in one process, with
the same dtype and cuDNN settings (benchmark mode). Ours run as built and accelerated (channels-last
memory). The achieved rate is compared with that of a large matrix product in the same dtype.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from contestants import Measure as Equal
from contestants import flops_of, other_networks
from mmengine.registry import init_default_scope
from tabulate import tabulate
from torch.nn.functional import cross_entropy

from r21d_plugin import accelerate, create_model

NORM = dict(type='BN3d', eps=1e-5)  # torchvision's
DTYPES = {'TF32': torch.float32, 'bfloat16': torch.bfloat16}


class Contestant(NamedTuple):
    """A contestant: its name, its network and whether it is compiled by ``torch.compile``."""

    name: str
    model: Any
    compiled: bool


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--depths', type=int, nargs='+', default=[18, 34], help='layers (18 34)')
    modes = ['training', 'inference']
    parser.add_argument('--modes', nargs='+', choices=modes, default=modes)
    parser.add_argument('--dtypes', nargs='+', choices=DTYPES, default=list(DTYPES))
    parser.add_argument('--batch', type=int, default=32, help='clips per step (32)')
    parser.add_argument('--frames', type=int, default=8, help='frames per clip (8)')
    parser.add_argument('--repeats', type=int, default=5, help='measurements of each (5)')
    parser.add_argument('--steps', type=int, default=5, help='steps per measurement (5)')
    parser.add_argument('--compile', action='store_true', help='also measure torch.compile')
    parser.add_argument('--json', type=Path, help='file to write all figures to')
    return parser.parse_args()


def precision(dtype: torch.dtype) -> torch.autocast:
    """Return the autocast context for a dtype."""
    return torch.autocast('cuda', dtype, enabled=dtype != torch.float32)


def theirs(depth: int) -> Any:
    """Build torchvision's network."""
    from torchvision.models.video import resnet

    blocks = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}[depth]
    convs = [resnet.Conv2Plus1D] * 4
    return resnet.VideoResNet(resnet.BasicBlock, convs, blocks, resnet.R2Plus1dStem)


def contestants(depth: int, args: argparse.Namespace) -> Iterator[Contestant]:
    """Yield all contestants, peers first."""
    kinds = [False, True] if args.compile else [False]
    for compiled in kinds:
        suffix = ', compiled' if compiled else ''
        yield Contestant(f'torchvision{suffix}', theirs(depth), compiled)
    if depth == 34:
        equal = Equal('', 'equal work', 'r2plus1d_34', args.batch, args.frames)
        name, model = next(iter(other_networks(equal).items()))
        yield Contestant(name, model, False)
    for accelerated in (False, True):
        for compiled in kinds:
            name = 'ours' + ', accelerated' * accelerated + ', compiled' * compiled
            model = create_model(f'r2plus1d_{depth}', midplanes='block', norm_cfg=NORM)
            yield Contestant(name, accelerate(model) if accelerated else model, compiled)


def steps(contestant: Contestant, mode: str, dtype: torch.dtype, clips: Any, n: int) -> Callable:
    """Build a function that runs ``n`` steps."""
    model = contestant.model
    model.train(mode == 'training')
    function = torch.compile(model) if contestant.compiled else model
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    labels = torch.arange(len(clips), device='cuda')

    def train() -> None:
        with precision(dtype):
            features = function(clips)
        loss = features.float().mean() if features.ndim > 2 else cross_entropy(features, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode(), precision(dtype):
            function(clips)

    def run() -> None:
        for _ in range(n):
            (train if mode == 'training' else infer)()

    return run


def seconds_of(task: Callable) -> float:
    """Measure the time of a task on the GPU."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    task()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def relative(result: Any, expected: Any) -> float:
    """Return the largest difference, relative to the largest absolute value."""
    return ((result - expected).abs().max() / expected.abs().max()).item()


def measure(depth: int, mode: str, dtype: torch.dtype, args: argparse.Namespace) -> dict[str, dict]:
    """Measure clips per second, FLOPs per clip and peak memory of each contestant."""
    clips = torch.randn(args.batch, 3, args.frames, 112, 112, device='cuda')
    tasks: dict[str, Callable] = {}
    found: dict[str, Any] = {}
    weights, expected = None, torch.zeros(())
    for contestant in contestants(depth, args):
        model = contestant.model.cuda()
        model.eval()  # a separate statement: returns None in MMAction2
        difference = None
        with torch.no_grad(), torch.backends.cudnn.flags(benchmark=False):
            gflop = flops_of(partial(model, clips[:1])) * (3 if mode == 'training' else 1)
            if weights is None:
                weights = {key: value.clone() for key, value in model.state_dict().items()}
                expected = model(clips[:4])
            elif contestant.name.startswith('ours'):
                model.load_state_dict(weights)
                with precision(dtype):
                    difference = relative(model(clips[:4]).float(), expected)
        task = steps(contestant, mode, dtype, clips, args.steps)
        task()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        task()
        peak = torch.cuda.max_memory_allocated() - before
        tasks[contestant.name] = task
        found[contestant.name] = dict(
            gflop=gflop, gib=peak / 2**30, difference=difference, rates=[]
        )
    for _ in range(args.repeats):
        for name, task in tasks.items():
            found[name]['rates'].append(args.batch * args.steps / seconds_of(task))
    return found


def matrix_rate(dtype: torch.dtype) -> float:
    """Measure TFLOP/s of a product of 8192 x 8192 matrices, the best of ten."""
    a, b = (torch.randn(8192, 8192, device='cuda', dtype=dtype) for _ in range(2))
    a @ b
    return 2 * 8192**3 / min(seconds_of(lambda: a @ b) for _ in range(10)) / 1e12


HEADER = ['network', 'mode', 'type', 'contestant', 'clips/s', 'spread', 'ratio', 'of matrices']
HEADER += ['GiB', 'difference']


def rows_of(group: list[str], found: dict[str, dict], ceiling: float) -> list[list[str]]:
    """Build the rows of the table; ratios are to torchvision's network, not compiled."""
    peer = median(found['torchvision']['rates'])
    rows = []
    for name, each in found.items():
        rate = median(each['rates'])
        spread = f'{min(each["rates"]):.0f}-{max(each["rates"]):.0f}'
        share = f'{rate * each["gflop"] / 1e3 / ceiling:.0%}'
        row = [name, f'{rate:.0f}', spread, f'{rate / peer:.2f}', share, f'{each["gib"]:.1f}']
        row.append('' if each['difference'] is None else f'{each["difference"]:.0e}')
        rows.append([*group, *row])
    return rows


def main() -> None:
    """Measure and print."""
    args = parse_args()
    if not torch.cuda.is_available():
        sys.exit('error: needs a CUDA device: tools/benchmark/speed.py measures CPUs')
    init_default_scope('mmaction')
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
    ceilings = {name: matrix_rate(DTYPES[name]) for name in args.dtypes}
    device = f'{torch.cuda.get_device_name()}, torch {torch.__version__}'
    table, everything = [], dict(machine=device, ceilings=ceilings)
    for depth in args.depths:
        for mode in args.modes:
            for name in args.dtypes:
                group = [f'R(2+1)D-{depth}', mode, name]
                print(*group, file=sys.stderr, flush=True)
                found = measure(depth, mode, DTYPES[name], args)
                everything[' '.join(group)] = found
                table += rows_of(group, found, ceilings[name])
                if args.json:  # after each group, so that an interrupted run leaves figures
                    args.json.write_text(json.dumps(everything, indent=1) + '\n')
                torch.compiler.reset()
    print(tabulate(table, HEADER, tablefmt='github', disable_numparse=True))
    rates = ', '.join(f'{rate:.0f} TFLOP/s in {name}' for name, rate in ceilings.items())
    print(f'\n{device}; matrices: {rates}; {args.batch} clips of {args.frames} frames a step')


if __name__ == '__main__':
    main()
