from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from r21d_plugin.engine import ResumableEarlyStoppingHook

ERRORS = [3.0, 2.0, 2.5, 2.4, 2.3]


@pytest.fixture
def hub():
    return MessageHub.get_instance('early stopping')


def train(hub, errors, patience=3, log=print):
    """Validate with these errors; return how many were needed until the end."""
    hook = ResumableEarlyStoppingHook('MAE', rule='less', min_delta=0, patience=patience)
    loop = SimpleNamespace(stop_training=False)
    logger = SimpleNamespace(info=log, warning=log)
    runner = SimpleNamespace(message_hub=hub, train_loop=loop, logger=logger)
    hook.before_train(runner)
    for number, error in enumerate(errors):
        if loop.stop_training:
            return number
        hook.after_val_epoch(runner, dict(MAE=error))
    return len(errors) if loop.stop_training else None


@pytest.mark.parametrize('first', range(1, 5))
def test_a_resumed_run_counts_on(hub, first):
    hub.runtime_info.clear()
    assert train(hub, ERRORS[:first]) is None
    assert train(hub, ERRORS[first:] + ERRORS) == 5 - first


def test_a_run_that_has_ended(hub):
    hub.runtime_info.clear()
    assert train(hub, ERRORS) == 5
    log = []
    assert train(hub, ERRORS, log=log.append) == 0
    (line,) = log
    assert line.endswith('MAE did not improve in 3 validations: raise patience to go on')
    assert train(hub, [2.2, 2.1], patience=5) == 2
