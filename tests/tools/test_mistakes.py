"""Mistakes in a config, an option or an argument: one line names each."""

import pytest
from support import OPTIONS, ROOT

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
PIPELINE = 'train_dataloader.dataset.pipeline'


@pytest.mark.parametrize(
    ('option', 'line'),
    [
        ('optim_wraper.optimizer.lr=0.1', 'did you mean optim_wrapper?'),
        ('test_clips=0', 'test_clips: nothing reads it'),
        ('storage=lmdb', 'storage: nothing reads it: this config derives values from clip_len,'),
        ('train_cfg.max_epoch=3', 'train_cfg: EpochBasedTrainLoop.__init__() got an unexpected'),
        ('train_cfg.type=EpochLoop', 'train_cfg: EpochLoop is not a registered loop'),
        ('train_dataloader.batchsize=3', 'train_dataloader: DataLoader.__init__() got an unexpec'),
        ('val_dataloader.batch_size=0', 'val_dataloader: batch_size should be a positive integer'),
        (f'{PIPELINE}.3.type=RandomCropp', 'train_dataloader: RandomCropp is not a registered '),
        ('train_dataloader.dataset.type=Videos', 'train_dataloader: Videos is not a registered'),
        ('val_evaluator.type=ClipAccuracy', 'val_evaluator: ClipAccuracy is not a registered met'),
        ('optim_wrapper.optimizer.type=SDG', 'optim_wrapper: SDG is not a registered optimizer: '),
        ('optim_wrapper.optimizer.mometum=1', "unexpected keyword argument 'mometum'"),
        ('param_scheduler.1.type=MultiStep', 'MultiStep is not a registered parameter scheduler'),
        ('model.backbone.depth=19', 'depth=19: use one of [18, 26, 34, 50, 101, 152]'),
        ('model.cls_head.type=ClipHed', 'model: ClipHed is not a registered model: did you mean '),
        ('default_hooks.logger.type=Loger', 'default_hooks: Loger is not a registered hook'),
        ('default_hooks.checkpoint.intervl=3', 'checkpoint.intervl: CheckpointHook has no such'),
        ('train_dataloader.dataset.num_classes=500', 'train_dataloader.dataset.num_classes=500 '),
        ('load_from=nowhere.pth', 'nowhere.pth: no such checkpoint file'),
    ],
)
def test_errors_in_a_training(in_kinetics, fails, tmp_path, option, line):
    command = ['train.py', CONFIG, '--device', 'cpu', '--work-dir', tmp_path, *OPTIONS]
    assert line in fails(*command, option)
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('part', ['optim_wrapper', 'train_dataloader'])
def test_a_config_without_a_part(fails, tmp_path, part):
    config = tmp_path / 'part.py'
    config.write_text(f'_base_ = {str(CONFIG)!r}\n{part} = None\n')
    line = fails('train.py', config, '--amp', '--device', 'cpu', '--work-dir', tmp_path)
    assert f'part.py: {part} missing, which ' in line


def test_a_best_checkpoint_by_another_metric(in_kinetics, fails, tmp_path):
    """Noticed before the first epoch if the prefix differs, else after the first validation."""
    config = tmp_path / 'metric.py'
    metric = "val_evaluator = dict(_delete_=True, type='AccMetric')"
    config.write_text(f'_base_ = {str(CONFIG)!r}\n{metric}\n')
    command = ['--device', 'cpu', '--work-dir', tmp_path / 'work', *OPTIONS]
    line = fails('train.py', config, *command)
    assert "save_best='video@1': val_evaluator measures acc/...: name one of these" in line
    assert not [*tmp_path.rglob('*.pth')]
    line = fails('train.py', CONFIG, *command, 'default_hooks.checkpoint.save_best=mAP')
    assert "save_best='mAP': val_evaluator measures clip@1, video@1, video@5" in line


def test_a_config_without_a_test(fails, tmp_path):
    config = tmp_path / 'part.py'
    config.write_text(f'_base_ = {str(CONFIG)!r}\ntest_evaluator = None\n')
    line = fails('test.py', config, 'none.pth', '--dump', tmp_path / 'a.npz', '--device', 'cpu')
    assert 'part.py: test_evaluator missing, which ' in line


@pytest.mark.parametrize('views', [-1, 2.5])
def test_views_at_a_time(in_kinetics, fails, views):
    option = f'model.test_cfg.max_testing_views={views}'
    line = fails('test.py', CONFIG, 'none.pth', '--device', 'cpu', *OPTIONS, option)
    assert f'model.test_cfg.max_testing_views={views}' in line


def test_pictures_of_no_video(in_kinetics, fails, tmp_path):
    command = ['test.py', CONFIG, 'none.pth', '--device', 'cpu', '--show-dir', tmp_path / 'a']
    assert 'interval=0' in fails(*command, '--interval', 0, *OPTIONS)


def test_a_diverged_training_ends(in_kinetics, fails, tmp_path):
    command = ['train.py', CONFIG, '--no-validate', '--device', 'cpu', '--work-dir', tmp_path]
    line = fails(*command, *OPTIONS, 'optim_wrapper.optimizer.lr=1e12', 'train_cfg.max_epochs=3')
    assert 'training has diverged: lower optim_wrapper.optimizer.lr' in line


def test_an_invalid_work_dir(in_kinetics, fails, tmp_path):
    (tmp_path / 'file').write_text('')
    line = fails('train.py', CONFIG, '--device', 'cpu', '--work-dir', tmp_path / 'file', *OPTIONS)
    assert f'{tmp_path}/file' in line


def test_several_gpus_and_no_gpu(in_kinetics, fails, tmp_path):
    words = ['--device', 'cpu', '--gpus', 2, '--work-dir', tmp_path, *OPTIONS]
    assert '--gpus 2 with --device cpu' in fails('train.py', CONFIG, *words)


@pytest.mark.parametrize(
    ('name', 'line'),
    [
        ('none/scores.pkl', 'scores.pkl: cannot write there'),
        ('none/scores.npz', 'scores.npz: cannot write there'),
        ('scores.json', 'give a name that ends in .npz or .pkl'),
    ],
)
def test_a_dump_that_cannot_be_written(in_kinetics, fails, tmp_path, name, line):
    """The error comes before the test, even before the checkpoint is read."""
    (tmp_path / 'none').write_text('a file')
    words = ['--device', 'cpu', '--work-dir', tmp_path / 'work', '--dump', tmp_path / name]
    assert line in fails('test.py', CONFIG, 'nowhere.pth', *words, *OPTIONS)


def test_an_option_without_a_value(in_kinetics, fails):
    assert 'write key.subkey=value' in fails('train.py', CONFIG, '--cfg-options', 'lr')


def test_no_workers(in_kinetics, tool, tmp_path):
    workers = [f'{mode}_dataloader.num_workers=0' for mode in ('train', 'val')]
    words = ['--device', 'cpu', '--work-dir', tmp_path, *OPTIONS, *workers]
    tool('train.py', CONFIG, *words, 'train_cfg.max_epochs=1')
    assert (tmp_path / 'epoch_1.pth').exists()


def test_the_screen_shows_a_summary(in_kinetics, tool, tmp_path, capfd):
    words = ['--device', 'cpu', '--work-dir', tmp_path, *OPTIONS, 'train_cfg.max_epochs=1']
    tool('train.py', CONFIG, *words)
    screen = ''.join(capfd.readouterr())
    assert 'network     r21d_plugin.R2Plus1D, depth=18' in screen
    assert 'step        4 clips x 1 processes' in screen
    before, _, _ = screen.partition('Epoch(train)')
    assert before.count('\n') < 40
    (log,) = tmp_path.glob('*/*.log')
    assert 'base_channels=4' in log.read_text()
    assert 'GCC' in log.read_text()
