import logging
from types import SimpleNamespace

import pytest
from mmengine.dataset import pseudo_collate

from r21d_plugin import InputError
from r21d_plugin.datasets import LabelledVideoDataset
from r21d_plugin.datasets.video_dataset import collate_without_skipped
from r21d_plugin.engine import SkippedVideosHook, skipped_videos


class Videos(list):
    """A dataset of ten videos that skips those that do not decode."""

    on_error = 'skip'
    max_bad_fraction = 0.5


def runner(work_dir, resume=False, round_up=False):
    sampler = SimpleNamespace(round_up=round_up)
    loader = SimpleNamespace(dataset=Videos(range(10)), sampler=sampler, collate_fn=pseudo_collate)
    return SimpleNamespace(
        work_dir=work_dir,
        cfg=dict(resume=resume),
        logger=logging.getLogger(),
        train_dataloader=loader,
        test_dataloader=loader,
    )


def epoch(hook, run, mode, *skipped):
    getattr(hook, f'before_{mode}_epoch')(run)
    batch = dict(data_samples=[0, 0], skipped=list(skipped))
    getattr(hook, f'before_{mode}_iter')(run, 0, batch)
    assert batch == dict(data_samples=[0, 0]), 'what the model is given'
    getattr(hook, f'after_{mode}_epoch')(run)
    path = run.work_dir / f'skipped_{mode}_videos.txt'
    return path.read_text() if path.exists() else None


def test_the_list_covers_the_whole_training(tmp_path):
    run, hook = runner(tmp_path), SkippedVideosHook()
    assert epoch(hook, run, 'train') is None
    assert epoch(hook, run, 'train', 'b') == 'b\n'
    assert epoch(hook, run, 'train', 'a') == 'a\nb\n'
    assert epoch(SkippedVideosHook(), runner(tmp_path, resume=True), 'train', 'c') == 'a\nb\nc\n'
    assert epoch(SkippedVideosHook(), run, 'train') is None


def test_the_list_covers_the_last_test(tmp_path):
    run, hook = runner(tmp_path), SkippedVideosHook()
    assert epoch(hook, run, 'test', 'a') == 'a\n'
    assert epoch(hook, run, 'test', 'b') == 'b\n'
    assert epoch(hook, run, 'test') is None


def test_samplers_that_repeat_videos_are_refused_in_several_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(skipped_videos, 'get_world_size', lambda: 2)
    SkippedVideosHook().before_test_epoch(runner(tmp_path))
    with pytest.raises(InputError, match=r'set test_dataloader\.sampler\.round_up=False'):
        SkippedVideosHook().before_test_epoch(runner(tmp_path, round_up=True))


def test_an_iteration_based_loop_reads_anew(tmp_path):
    """It began to read with the function that was there before."""

    class Endless:
        def __init__(self, loader):
            self.collate = loader.collate_fn

    run = runner(tmp_path)
    run.train_loop = SimpleNamespace(dataloader_iterator=Endless(run.train_dataloader))
    SkippedVideosHook().before_train(run)
    assert run.train_loop.dataloader_iterator.collate.func is collate_without_skipped


def test_unknown_on_error():
    with pytest.raises(InputError, match=r"on_error='ignore': use 'raise' or 'skip'"):
        LabelledVideoDataset('list.txt', 3, pipeline=[], on_error='ignore')
