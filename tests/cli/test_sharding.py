from pathlib import Path

import pytest

from r21d_plugin import InputError
from r21d_plugin.cli import sharding
from r21d_plugin.cli.sharding import Shard, cores_of_process, device_of_process, find_shard


@pytest.fixture
def environ(monkeypatch):
    """Set the variables of a launcher, and no others."""
    for name in (*sharding.RANKS, *sharding.RANKS.values(), *sharding.LOCAL):
        monkeypatch.delenv(name, raising=False)

    def update(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return update


@pytest.mark.parametrize('count', [1, 2, 3, 7, 20])
def test_parts_are_all_videos_once(count):
    videos = [f'{i}.mp4' for i in range(10)]
    parts = [Shard(index, count).take(videos) for index in range(count)]
    assert sorted(video for part in parts for video in part) == videos
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_files_of_parts():
    assert Shard().name(Path('a/b.txt')) == Path('a/b.txt')
    assert Shard(2, 4).name(Path('a/b.txt')) == Path('a/b-2-of-4.txt')


def test_without_a_launcher(environ):
    assert find_shard(None) == Shard(0, 1)
    assert find_shard('2/4') == Shard(2, 4)


def test_torchrun(environ):
    environ(RANK=5, WORLD_SIZE=8, LOCAL_RANK=1, LOCAL_WORLD_SIZE=4, SLURM_PROCID=0, SLURM_NTASKS=2)
    assert find_shard(None) == Shard(5, 8)
    assert find_shard('0/2') == Shard(0, 2)


def test_srun(environ):
    environ(SLURM_PROCID=3, SLURM_STEP_NUM_TASKS=4)
    assert find_shard(None) == Shard(3, 4)


def test_a_batch_script_without_srun_does_all(environ):
    environ(SLURM_PROCID=0, SLURM_NTASKS=4, SLURM_ARRAY_TASK_ID=1, SLURM_ARRAY_TASK_COUNT=2)
    assert find_shard(None) == Shard(0, 1)


@pytest.mark.parametrize('text', ['4/4', '-1/4', '1', '1/', 'a/b', '0/0', '1/2/3'])
def test_no_part(text):
    with pytest.raises(InputError, match=rf'--shard {text}: use 0/4, 1/4, 2/4 or 3/4'):
        find_shard(text)


def test_each_process_has_its_gpu_and_its_cores(environ, monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 4)
    monkeypatch.setattr('os.cpu_count', lambda: 32)
    monkeypatch.setattr('os.sched_getaffinity', lambda _: {*range(32)})
    assert (device_of_process(None), cores_of_process()) == ('cuda:0', 32)
    environ(LOCAL_RANK=3, LOCAL_WORLD_SIZE=4)
    assert (device_of_process(None), cores_of_process()) == ('cuda:3', 8)
    monkeypatch.setattr('os.sched_getaffinity', lambda _: {*range(6)})  # srun binds each task
    assert cores_of_process() == 6
    assert device_of_process('cpu') == 'cpu'
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)  # --gpus-per-task=1
    assert device_of_process(None) is None
