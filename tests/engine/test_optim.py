import pytest
import torch
from mmengine.optim import MultiStepLR

from r21d_plugin._compat import pairwise
from r21d_plugin.engine import GradualWarmupLR, optim


def learning_rates(monkeypatch, processes, factor=None, epochs=45, iterations=4):
    """Return the learning rate of the first iteration of each epoch, by the paper's schedule."""
    monkeypatch.setattr(optim, 'get_world_size', lambda: processes)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01 * processes)
    if factor:
        optimizer.lr_factor = factor
    warmup = GradualWarmupLR.build_iter_from_epoch(
        optimizer, begin=0, end=10, epoch_length=iterations
    )
    steps = MultiStepLR(optimizer, milestones=[20, 30, 40], gamma=0.1)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        for _ in range(iterations):
            optimizer.step()
            warmup.step()
        steps.step()
    return rates


def test_paper_schedule_on_64_gpus(monkeypatch):
    rates = learning_rates(monkeypatch, 64)
    assert rates[0] == pytest.approx(0.01)  # the rate of one GPU
    assert all(a < b for a, b in pairwise(rates[:10]))
    assert rates[10:20] == pytest.approx([0.64] * 10)
    assert rates[20:30] == pytest.approx([0.064] * 10)
    assert rates[30:40] == pytest.approx([0.0064] * 10)
    assert rates[40:] == pytest.approx([0.00064] * 5)


def test_one_process_needs_no_warm_up(monkeypatch):
    assert learning_rates(monkeypatch, 1)[:20] == pytest.approx([0.01] * 20)


def test_small_steps_need_no_warm_up(monkeypatch):
    assert learning_rates(monkeypatch, 1, factor=1 / 8)[:20] == pytest.approx([0.01] * 20)
