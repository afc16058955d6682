from pathlib import Path

import pytest

from experiments.finetuning import CONFIG, INPUT, LONG, NEW, OLD, RUNS, SCRATCH, make_videos
from r21d_plugin.cli.launch import load_config


@pytest.fixture
def data(tmp_path):
    (tmp_path / 'classes.txt').write_text(''.join(f'{name}\n' for name in NEW))
    (tmp_path / 'train.txt').write_text(''.join(f'{i}.mp4 {i % 5}\n' for i in range(25)))
    return tmp_path


@pytest.mark.parametrize('title', [*RUNS, 'pretraining'])
def test_options_are_known_and_take_effect(data, title):
    options = (*SCRATCH, *LONG) if title == 'pretraining' else RUNS[title][1]
    given = dict(option.partition('=')[::2] for option in (*INPUT, *SCRATCH, *options))
    cfg = load_config(CONFIG, {'data_root': str(data), **given})
    plain = dict(option.partition('=')[::2] for option in (*INPUT, *SCRATCH))
    base = load_config(CONFIG, {'data_root': str(data), **plain})
    assert (cfg.to_dict() == base.to_dict()) == (not {*options} - {*SCRATCH})
    assert cfg.model.backbone.base_channels == 8


def test_videos_differ_by_set_class_number_and_seed(tmp_path):
    for seed in (0, 1):
        make_videos(tmp_path / str(seed), NEW[:2], dict(train=2, val=2), seed)
    videos = [path.read_bytes() for path in tmp_path.rglob('*.mp4')]
    assert len(videos) == len(set(videos)) == 16
    first = Path(tmp_path, '0/train/left/left-0x.mp4')
    before = first.read_bytes()
    first.unlink()
    make_videos(tmp_path / '0', NEW[:2], dict(train=2), 0)
    assert first.read_bytes() == before
    assert {*NEW}.isdisjoint(OLD)
    assert len(NEW) == len(OLD) == 5
