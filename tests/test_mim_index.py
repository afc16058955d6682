"""``mim search`` by dataset, model and condition."""

import re
from importlib import import_module

import pytest
from modelindex.load_model_index import load
from support import ROOT

from r21d_plugin import PublicWeights

WEIGHTS = {w.value.config: w.value for w in PublicWeights if w.value.config}


@pytest.fixture
def search(monkeypatch):
    """Return the names of the configs that mim finds in this checkout's index."""
    module = import_module('mim.commands.search')  # mim.commands also has a function of this name
    index = load(str(ROOT / 'r21d_plugin/.mim/model-index.yml'))
    monkeypatch.setattr(module, 'load_metadata', lambda *args: index)
    return lambda **query: {*module.get_model_info('r21d_plugin', **query).index}


def test_a_dataset_finds_all_that_were_trained_on_it(search):
    assert search(training_datasets=['Kinetics-400']) == set(WEIGHTS)


@pytest.mark.parametrize('family', ['r2d', 'fr2d', 'r3d', 'mc', 'rmc', 'r2plus1d'])
def test_models_are_families(search, family):
    names = re.compile(rf'{family}[2-5]?_')
    expected = {name for name, value in WEIGHTS.items() if names.match(value.network)}
    assert expected
    assert search(models=[family]) == expected


def test_networks_are_a_condition(search):
    expected = {name for name, value in WEIGHTS.items() if value.network == 'mc3_18'}
    assert search(filter_conditions='network=="mc3_18"') == expected


@pytest.mark.parametrize('metric', ['clip@1', 'video@1', 'video@5'])
def test_metrics_in_conditions(search, metric):
    values = {name: weights.metrics.get(metric, 0) for name, weights in WEIGHTS.items()}
    middle = sorted(values.values())[20]
    found = search(filter_conditions=f'{metric}>{middle} frames>8')
    assert found == {
        name for name, value in values.items() if value > middle and WEIGHTS[name].clip_len > 8
    }
    assert found


def test_other_fields(search):
    flow = {name for name, weights in WEIGHTS.items() if weights.in_channels == 2}
    assert search(filter_conditions='input=="flow"') == flow
    sports = search(filter_conditions='pretraining=="sports-1m"')
    assert 'r2plus1d_34_kinetics_from_sports1m' in sports
    assert 'r2plus1d_152_kinetics_from_sports1m' in sports
    assert all(WEIGHTS[name].training == 'Sports-1M, Kinetics-400' for name in sports)
