import sys

import pytest

from r21d_plugin.cli import main


def test_the_command_for_mim(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['r21d', 'flow', 'no such folder', '--list', 'x'])
    with pytest.raises(SystemExit):
        main.main()
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "$ mim run r21d_plugin extract_flow 'no such folder' --list x"


def test_an_unknown_command(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['r21d', 'fit'])
    with pytest.raises(SystemExit, match='error: fit: no such command: choose from train, test'):
        main.main()


def test_the_list_of_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['r21d'])
    main.main()
    found = {line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]}
    assert found == {*main.COMMANDS}
