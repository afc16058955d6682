import pytest
from support import ROOT

from tools.complexity import measure

PUBLISHED = dict(r2d=(1.9, 11.4), fr2d=(13.8, 11.4), r3d=(20.3, 33.4), mc2=(14.3, 11.4))
PUBLISHED.update(mc3=(21.7, 11.7), mc4=(20.0, 12.7), mc5=(20.0, 16.8), rmc2=(19.9, 33.3))
PUBLISHED.update(rmc3=(12.5, 33.0), rmc4=(14.5, 32.0), rmc5=(15.4, 27.9), r2plus1d=(20.7, 33.3))
"""GFLOPs and parameters (M) that the authors publish, 18 layers, 8 x 112 x 112."""


DEEPER = [f'r2plus1d_{depth}' for depth in (26, 50, 101, 152)]


@pytest.mark.slow
@pytest.mark.parametrize('arguments', [[], [*DEEPER, '--clip-len', '32']], ids=['paper', 'deeper'])
def test_page_of_networks_has_the_table(tool, capsys, arguments):
    tool('complexity.py', *arguments, '--markdown')
    assert capsys.readouterr().out in (ROOT / 'docs/networks.md').read_text()


def test_chosen_networks(tool, capsys):
    tool('complexity.py', 'r2plus1d_34', '--clip-len', '32', '--num-classes', '101')
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    assert '512 x 4 x 7 x 7' in out


@pytest.mark.parametrize('name', ['r2plus1d', 'resnet'])
def test_unknown_network(fails, name):
    assert f'no network {name!r}' in fails('complexity.py', name)


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_complexity(name):
    cost = measure(f'{name}_18')
    gflops, parameters = PUBLISHED[name]
    assert f'{cost.gflops:.1f}' == f'{gflops:.1f}'
    assert cost.parameters / 1e6 == pytest.approx(parameters, abs=0.1)


def test_cost_of_flow_input_and_fewer_classes():
    rgb, flow = measure('r2plus1d_18'), measure('r2plus1d_18', in_channels=2, num_classes=101)
    assert rgb.parameters - flow.parameters == 45 * 49 + 299 * 513
