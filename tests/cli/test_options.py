import mmaction.registry
import pytest
import torch
from mmengine.config import Config

from r21d_plugin import InputError
from r21d_plugin.cli.config_check import check_config, check_run
from r21d_plugin.cli.options import merge_options, parse_value
from r21d_plugin.cli.runner import check_optimizer


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('3', 3),
        ('1e-3', 1e-3),
        ('True', True),
        ('false', False),
        ('None', None),
        ('1,2.5', [1, 2.5]),
        ('[1,(2,3)]', [1, (2, 3)]),
        ('(a, b)', ('a', 'b')),
        ("'2024'", '2024'),
        ("{'a': [1, 2]}", {'a': [1, 2]}),
        ('a,b', 'a,b'),
        ('my lists/train, new.txt', 'my lists/train, new.txt'),
        (' spaced ', ' spaced '),
    ],
)
def test_values(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.fixture
def cfg():
    pipeline = [dict(type='A'), dict(type='B', scale=(4, 3))]
    return Config(
        dict(
            num_classes=4,
            note='x',
            train_pipeline=pipeline,
            model=dict(type='M', cls_head=dict(num_classes=4), test_cfg=dict(average_clips=None)),
            train_dataloader=dict(
                batch_size=2,
                dataset=dict(ann_file='a.txt', data_prefix=dict(video=''), pipeline=pipeline),
            ),
            train_cfg=dict(max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            load_from=None,
        )
    )


@pytest.mark.parametrize(
    ('key', 'text', 'value'),
    [
        ('train_dataloader.dataset.ann_file', 'my lists/1,2.txt', 'my lists/1,2.txt'),
        ('train_dataloader.dataset.data_prefix.video', '2024', '2024'),
        ('train_dataloader.dataset.ann_file', '[a.txt,b.txt]', ['a.txt', 'b.txt']),
        ('train_dataloader.dataset.ann_file', 'None', None),
        ('train_dataloader.dataset.pipeline.1.scale', '(8,6)', (8, 6)),
        ('load_from', '2024', '2024'),
        ('optim_wrapper.optimizer.lr', '1', 1),
        ('optim_wrapper.clip_grad.max_norm', '40', 40),
        ('model.test_cfg.max_testing_views', '3', 3),
        ('auto_scale_lr.enable', 'True', True),
        ('optim_wrapper.paramwise_cfg.custom_keys.cls_head.lr_mult', '2', 2),
    ],
)
def test_options_take_effect(cfg, key, text, value):
    merge_options(cfg, {key: text})
    found = cfg
    for word in key.split('.'):
        found = found[int(word) if word.isdecimal() else word]
    assert found == value


def test_names_of_parameters_have_dots(cfg):
    merge_options(cfg, {'optim_wrapper.paramwise_cfg.custom_keys.backbone.layer4.lr_mult': '0.1'})
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys == {'backbone.layer4': dict(lr_mult=0.1)}


@pytest.mark.parametrize(
    ('option', 'remedy'),
    [
        ('model.test_cfg.max_testing_view', 'did you mean max_testing_views?'),
        ('train_dataloader.dataset.data_prefix.vido', 'did you mean video?'),
        ('train_dataloader.dataset.pipeline.7.scale', 'pipeline is a list of 2'),
        ('optim_wrapper.paramwise_cfg.norm_decay', 'did you mean norm_decay_mult?'),
    ],
)
def test_options_without_effect_are_refused(cfg, option, remedy):
    if 'paramwise' in option:
        cfg.optim_wrapper.paramwise_cfg = dict(bias_lr_mult=2)
    before = cfg.to_dict()
    with pytest.raises(InputError) as error:
        merge_options(cfg, {option: '1'})
    assert str(error.value).startswith(f'--cfg-options {option}: ')
    assert remedy in str(error.value)
    assert cfg.to_dict() == before


def test_optimizers_of_other_packages():
    class OwnSGD(torch.optim.SGD):
        """An optimizer that a user registers in MMAction2's registry."""

    mmaction.registry.OPTIMIZERS.register_module(module=OwnSGD, force=True)
    check_optimizer(dict(optimizer=dict(type='OwnSGD')))
    with pytest.raises(KeyError, match='OwnSGDs is not in'):
        check_optimizer(dict(optimizer=dict(type='OwnSGDs')))


def check(cfg):
    check_config(cfg, 'my.py')
    check_run(cfg, 'my.py')


def test_a_dict_option_with_a_syntax_error(cfg):
    with pytest.raises(InputError, match=r'--cfg-options optim_wrapper\.clip_grad=\{norm: 4\}'):
        merge_options(cfg, {'optim_wrapper.clip_grad': '{norm: 4}'})


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(optim_wraper=dict()), 'nothing reads optim_wraper: did you mean optim_wrapper'),
        (dict(train_cfgs=dict()), 'nothing reads train_cfgs: did you mean train_cfg'),
        (
            {'model.test_cfg.max_testing_view': 1},
            r'model\.test_cfg: nothing reads max_testing_view: did you mean max_testing_views',
        ),
        (
            {'model.test_cfg.average_clips': 'score'},
            r'model\.test_cfg: nothing reads average_clips: set model\.cls_head\.average_clips',
        ),
        (
            {'model.train_cfg': dict(blending=dict(type='MixupBlending'))},
            r'model\.train_cfg: nothing reads blending: set model\.data_preprocessor\.blending',
        ),
        (dict(val_cfg=dict()), 'val_dataloader and val_evaluator missing, which val_cfg needs'),
        (dict(optim_wrapper=None), 'optim_wrapper missing, which train_cfg, train_dataloader need'),
        (dict(model=None), 'no model in this config'),
        (
            {'train_cfg.by_epoch': False, 'param_scheduler': [dict(type='MultiStepLR')]},
            'param_scheduler counts epochs, train_cfg iterations: set by_epoch=False',
        ),
        (
            {'train_cfg.type': 'IterBasedTrainLoop', 'default_hooks.checkpoint.interval': 100},
            r'default_hooks\.checkpoint counts epochs, train_cfg iterations: set by_epoch=False',
        ),
        ({'train_cfg.val_interval': 0}, r'train_cfg\.val_interval=0: use a whole number'),
    ],
)
def test_configs_are_checked(cfg, changes, message):
    check(cfg)
    cfg.merge_from_dict(changes)
    with pytest.raises(InputError, match=rf'my\.py: {message}'):
        check(cfg)
