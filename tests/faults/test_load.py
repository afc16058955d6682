"""Load: memory of what is large, in processes of their own, beside the same of what is small.

Each test prints what it measures (``pytest -s``); the bounds are what docs/faults.md states.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from support import OPTIONS, ROOT, shell, write_video

from r21d_plugin import create_model

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics_32f.py'


MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stderr=subprocess.STDOUT).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""Runs a command from a small process: its peak is never below that of what starts it."""


def run(command, folder: Path) -> tuple[float, str]:
    """Run a command; return its peak memory in MiB and its output."""
    python = [sys.executable, '-W', 'ignore']
    printed = shell(sys.executable, '-c', MEASURED, *python, *command, cwd=folder)
    *lines, peak = printed.splitlines()
    return int(peak) / 1024, '\n'.join(lines)


@pytest.fixture(scope='module')
def long_video(tmp_path_factory) -> Path:
    """Make a Kinetics data folder with a video of two minutes, 340 x 256 pixels."""
    folder = tmp_path_factory.mktemp('long')
    data = folder / 'data/kinetics400'
    (data / 'videos_val').mkdir(parents=True)
    write_video(data / 'videos_val/a.mp4', 3000, (340, 256))
    (data / 'kinetics400_val_list_videos.txt').write_text('a.mp4 0\n')
    return folder


def test_a_hundred_clips_of_a_long_video(long_video, fault):
    with fault('load: 100 clips x 32 frames'):
        torch.save(create_model('r2plus1d_18', base_channels=4).state_dict(), long_video / 'a.pth')
        command = [ROOT / 'tools/test.py', CONFIG, 'a.pth', '--device', 'cpu', *OPTIONS]
        alone = dict(batch_size=1, num_workers=0, persistent_workers=False)
        command += [f'test_dataloader.{key}={value}' for key, value in alone.items()]
        peaks = {
            clips: run(
                [*command, f'test_dataloader.dataset.pipeline.1.num_clips={clips}'], long_video
            )[0]
            for clips in (10, 100)
        }
        print(f'10 clips: {peaks[10]:.0f} MiB, 100 clips: {peaks[100]:.0f} MiB')
        # Of 90 clips more, 180 MiB of frames, and for a moment the 103 MiB cropped from them and
        # copies of those. As floating-point numbers all at once they would be 413 MiB more.
        assert peaks[100] - peaks[10] < 600


READ = """
import sys
from r21d_plugin import InputError
from r21d_plugin.datasets import LabelledVideoDataset
try:
    videos = LabelledVideoDataset(sys.argv[1], 400, pipeline=[])
except InputError as error:
    print(error)
else:
    print(len(videos), videos.get_data_info(len(videos) - 1)['filename'])
"""


def read(path: Path) -> tuple[float, str]:
    """Read an annotation file; return the peak memory in MiB and the output."""
    return run(['-c', READ, path], path.parent)


def write_list(path: Path, lines: int) -> Path:
    """Write an annotation file."""
    path.write_text(''.join(f'class {i % 400}/{i:07}.mp4 {i % 400}\n' for i in range(lines)))
    return path


def test_a_million_annotation_lines(tmp_path, fault):
    with fault('load: a million annotation lines'):
        few, _ = read(write_list(tmp_path / 'few.txt', 1000))
        many, printed = read(write_list(tmp_path / 'many.txt', 1_000_000))
        assert printed == '1000000 class 399/0999999.mp4'
        print(f'1,000 lines: {few:.0f} MiB, 1,000,000 lines: {many:.0f} MiB')
        assert many - few < 700


def test_annotation_files_of_absurd_size(tmp_path, fault):
    few, _ = read(write_list(tmp_path / 'few.txt', 1000))
    gibibyte = tmp_path / 'gibibyte.txt'
    with gibibyte.open('wb') as file:
        file.truncate(2**30)
    line = tmp_path / 'line.txt'
    line.write_text('a' * 10_000_000 + ' 0\n')
    for path, message in ((gibibyte, 'longer than 8192'), (line, 'longer than 8192')):
        with fault('load: annotation files of absurd size'):
            peak, printed = read(path)
            assert message in printed
            print(f'{path.stem}: {peak - few:.1f} MiB more than 1,000 lines')
            assert peak - few < 8


WORKERS = """
import multiprocessing, sys
from pathlib import Path
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from r21d_plugin.cli.launch import load_config

def memory(pid, kinds):
    text = Path(f'/proc/{pid}/smaps_rollup').read_text()
    sizes = (line.split() for line in text.splitlines()[1:])
    return sum(int(size) for kind, size, _ in sizes if kind.startswith(kinds)) / 1024

if __name__ == '__main__':
    init_default_scope('mmaction')
    cfg = load_config(sys.argv[1]).train_dataloader
    cfg.update(num_workers=64, batch_size=2, persistent_workers=True)
    cfg.sampler.epoch_size = 512
    loader = Runner.build_dataloader(cfg, seed=0)
    private, all_of_it, clips = 0, 0, 0
    for i, batch in enumerate(loader):
        clips += len(batch['inputs'])
        if i % 32 == 31:
            pids = [worker.pid for worker in multiprocessing.active_children()]
            assert len(pids) == 64
            private = max(private, *(memory(pid, 'Private') for pid in pids))
            all_of_it = max(all_of_it, sum(memory(pid, 'Pss:') for pid in [*pids, 'self']))
    print(clips, f'{private:.0f} {all_of_it:.0f}')
"""


def test_sixty_four_workers(kinetics, fault):
    """Forked workers share memory with the main process; each decodes clips of 32 frames."""
    with fault('load: 64 workers'):
        _, printed = run(['-c', WORKERS, CONFIG], kinetics)
        clips, private, all_of_it = map(int, re.findall(r'\d+', printed.splitlines()[-1]))
        assert clips == 512
        print(f'private: {private} MiB a worker at most, all of it: {all_of_it} MiB')
        assert private < 64
        assert all_of_it < 4096
