from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.model import initialize
from torch.utils.data import DataLoader, Dataset

from r21d_plugin import InputError, create_model
from r21d_plugin.engine import AccelerateHook, EpochSeedHook, TaskHook


class RandomNumbers(Dataset):
    """Dataset of random numbers from NumPy and torch."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return float(np.random.rand()), float(torch.rand(()))


def epochs(loader, seed, numbers):
    hook, out = EpochSeedHook(), []
    for epoch in numbers:
        runner = SimpleNamespace(seed=seed, epoch=epoch, train_dataloader=loader)
        hook.before_train_epoch(runner)
        out.append([torch.stack(batch).tolist() for batch in loader] + [torch.rand(1).item()])
    return out


@pytest.mark.parametrize('workers', [0, 2])
def test_a_resumed_run_samples_as_an_uninterrupted_one(workers):
    loader = DataLoader(RandomNumbers(), batch_size=2, num_workers=workers)
    whole = epochs(loader, 0, range(4))
    torch.rand(100), np.random.rand(100)  # another history
    assert epochs(loader, 0, range(2, 4)) == whole[2:]
    assert len({str(epoch) for epoch in whole}) == 4
    assert epochs(loader, 1, range(4)) != whole


@pytest.mark.parametrize('workers', [0, 2])
def test_passes_of_an_iteration_based_loop_differ(workers):
    """It calls the hook once."""
    loader = DataLoader(RandomNumbers(), batch_size=2, num_workers=workers)
    EpochSeedHook().before_train_epoch(SimpleNamespace(seed=0, epoch=0, train_dataloader=loader))
    first, second = ([torch.stack(batch).tolist() for batch in loader] for _ in range(2))
    assert first != second


def test_persistent_workers_are_refused():
    loader = DataLoader(RandomNumbers(), num_workers=1, persistent_workers=True)
    with pytest.raises(InputError, match='persistent_workers=True'):
        epochs(loader, 0, [0])


def test_a_given_function_for_workers_is_refused():
    loader = DataLoader(RandomNumbers(), worker_init_fn=print)
    with pytest.raises(InputError, match='worker_init_fn: EpochSeedHook replaces it: remove it'):
        epochs(loader, 0, [0])


def test_acceleration_comes_after_initialisation():
    """MMEngine's initialisers match names of classes and their bases."""
    backbone = create_model('r3d_18', 0, base_channels=4)
    runner = SimpleNamespace(model=torch.nn.Sequential(backbone))
    hook = AccelerateHook()
    hook.before_run(runner)
    initialize(backbone, dict(type='Constant', layer='_BatchNorm', val=0.5))
    assert backbone.stem[1].weight.tolist() == [0.5] * 4
    hook.before_train(runner)
    assert type(backbone.stem[1]).__name__ == 'AcceleratedBatchNorm3d'


@pytest.mark.parametrize(
    ('dataset', 'head', 'fits'),
    [(5, 5, True), (None, 7, True), (5, None, True), (7, 5, False), (5, 7, False)],
)
def test_class_count(dataset, head, fits):
    runner = SimpleNamespace(
        model=SimpleNamespace(cls_head=SimpleNamespace(num_classes=head)),
        train_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(num_classes=dataset, ann_file='list.txt')
        ),
        train_loop=None,
        val_loop=None,
    )
    if fits:
        TaskHook().before_train(runner)
    else:
        with pytest.raises(
            InputError, match=f'num_classes={dataset} and model.cls_head.num_classes={head}'
        ):
            TaskHook().before_train(runner)
