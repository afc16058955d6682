import pytest
from support import ROOT


def test_readme_has_the_table(tool, capsys):
    tool('complexity.py', '--markdown')
    assert capsys.readouterr().out in (ROOT / 'README.md').read_text()


def test_chosen_networks(tool, capsys):
    tool('complexity.py', 'r2plus1d_34', '--clip-len', '32', '--num-classes', '101')
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    assert '512 x 4 x 7 x 7' in out


@pytest.mark.parametrize('name', ['r2plus1d', 'resnet'])
def test_unknown_network(fails, name):
    assert f'no network {name!r}' in fails('complexity.py', name)
