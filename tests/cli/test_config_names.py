"""Values of a config that other values derive from, set by ``--cfg-options NAME=VALUE``."""

import pytest
from support import CONFIGS

from r21d_plugin import InputError
from r21d_plugin.cli.launch import load_config
from r21d_plugin.datasets import inner_datasets

LOADERS = 'train_dataloader', 'val_dataloader', 'test_dataloader'


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_data_root_and_classes_reach_dataloaders_and_head(path):
    cfg = load_config(str(path), {'data_root': '/elsewhere', 'num_classes': '7', 'clip_len': '12'})
    assert cfg.model.cls_head.num_classes == 7
    for loader in LOADERS:
        (dataset,) = inner_datasets(cfg[loader].dataset)
        assert dataset.ann_file.startswith('/elsewhere/')
        assert dataset.data_prefix.video.startswith('/elsewhere/')
        assert dataset.num_classes == 7
        assert dataset.pipeline[1].clip_len == 12
    plain = load_config(str(path))
    assert cfg.keys() == plain.keys()
    assert cfg.filename == plain.filename
    assert cfg.optim_wrapper == plain.optim_wrapper


@pytest.mark.parametrize('dataset', ['ucf101', 'hmdb51'])
def test_splits(dataset):
    cfg = load_config(f'configs/r2plus1d_34_{dataset}_from_kinetics.py', {'split': '3'})
    assert cfg.train_dataloader.dataset.ann_file.endswith('_train_split_3_videos.txt')
    assert cfg.test_dataloader.dataset.ann_file.endswith('_val_split_3_videos.txt')


def test_parts_of_a_name():
    options = {'train_pipeline.4.flip_ratio': '0.1', 'train_dataloader.batch_size': '3'}
    cfg = load_config('configs/r2plus1d_34_kinetics.py', options)
    assert cfg.train_dataloader.dataset.pipeline[4].flip_ratio == 0.1
    assert cfg.train_dataloader.batch_size == 3


@pytest.fixture
def config(tmp_path):
    """Write a config like those of MMAction2: its base is elsewhere, and its paths are strings."""
    base = tmp_path / 'base files' / 'my.py'
    base.parent.mkdir()
    base.write_text(
        "_base_ = ['mmaction::_base_/default_runtime.py']\n"
        'root = 2024\n'
        "here = '{{ fileDirname }}'\n"
        'unused = 1\n'
        "data_root = 'data'\n"
        'sizes = [1, 2]\n'
        "model = dict(type='X', sizes=sizes, here=here)\n"
        "test_dataloader = dict(dataset=dict(ann_file=f'{data_root}/a.txt', root=root))\n"
    )
    path = tmp_path / 'my.py'
    path.write_text(
        "_base_ = (\n    './base files/my.py'\n)\n"
        'work_dir = _base_.data_root\n'
        'model = dict(again={{_base_.data_root}})\n'
    )
    return path


def test_a_foreign_config(config):
    cfg = load_config(str(config), {'data_root': '1', 'root': "it's", 'sizes.1': '5'})
    assert (cfg.work_dir, cfg.model.again) == ('1', '1')
    assert cfg.model.sizes == [1, 5]
    assert cfg.model.here == str(config.parent / 'base files')
    assert cfg.test_dataloader.dataset == dict(ann_file='1/a.txt', root="it's")
    assert cfg.default_scope == 'mmaction'
    assert cfg.filename == str(config)


def test_names_that_blocks_set(tmp_path):
    path = tmp_path / 'my.py'
    path.write_text(
        'frames = steps = 8\n'
        'if frames > 4:\n'
        '    frames = 16\n'
        '    for steps in range(3):\n'
        '        pass\n'
        'else:\n'
        '    other = [steps for steps in range(3)]\n'
        "model = dict(type='X', frames=frames, steps=steps)\n"
    )
    cfg = load_config(str(path), {'frames': '32', 'steps': '5'})
    assert (cfg.model.frames, cfg.model.steps) == (32, 5)


def test_a_base_of_the_package(tmp_path):
    path = tmp_path / 'my.py'
    path.write_text("_base_ = ['r21d_plugin::r2plus1d_18_kinetics.py']\nwork_dir = 'x'\n")
    cfg = load_config(str(path), {'num_classes': '5'})
    assert cfg.model.cls_head.num_classes == cfg.test_dataloader.dataset.num_classes == 5
    assert cfg.work_dir == 'x'


@pytest.mark.parametrize(
    ('option', 'remedy'),
    [
        ('optim_wraper.optimizer.lr', 'did you mean optim_wrapper?'),
        ('data_rot', 'did you mean data_root?'),
        ('tensorbord', 'this config derives values from data_root, here, root, sizes'),
        ('unused', 'this config derives values from data_root, here, root, sizes'),
    ],
)
def test_names_without_effect_are_refused(config, option, remedy):
    with pytest.raises(InputError) as error:
        load_config(str(config), {option: '1'})
    assert str(error.value) == f'--cfg-options {option}: nothing reads it: {remedy}'


def test_an_index_out_of_range(config):
    with pytest.raises(InputError, match=r'my\.py: IndexError: list assignment index out of range'):
        load_config(str(config), {'sizes.4': '1'})


def test_a_config_of_the_pure_python_format(tmp_path):
    path = tmp_path / 'new.py'
    path.write_text('from mmengine.config import read_base\nclasses = 3\nmodel = dict(n=classes)\n')
    with pytest.raises(InputError, match='pure Python format'):
        load_config(str(path), {'classes': '4'})
