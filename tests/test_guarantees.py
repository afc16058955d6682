"""What the documentation promises names the test that holds it, and that test exists."""

import re
from functools import cache

import pytest
from support import ROOT

PAGES = ['README.md', 'SECURITY.md', *(f'docs/{path.name}' for path in ROOT.glob('docs/*.md'))]
TABLE = '| guarantee | test |'
OPTIONS = {'test_clips', 'test_'}
"""Options that are named like tests."""


def named_tests(text: str) -> set[str]:
    """Tests, and files of them, in a text: ``tests/x.py``, ``tests/x.py::test_y`` or ``test_y``."""
    found = re.findall(r'(tests/[\w/]+\.py(?:::\w+)?)|`(test_\w*)`', text)
    return {path or name for path, name in found} - OPTIONS


@cache
def functions(path: str) -> set[str]:
    """Names of the tests in a file; none if it is not there."""
    file = ROOT / path
    text = file.read_text() if file.is_file() else ''
    return set(re.findall(r'^def (test_\w+)\(', text, re.M))


@pytest.fixture(scope='module')
def everywhere() -> set[str]:
    """Names of all tests."""
    files = (ROOT / 'tests').rglob('test_*.py')
    return {name for path in files for name in functions(str(path.relative_to(ROOT)))}


@pytest.mark.parametrize('page', PAGES)
def test_every_test_that_is_named_exists(page, everywhere):
    for named in named_tests((ROOT / page).read_text()):
        path, _, name = named.rpartition('::')
        if named.endswith('.py'):
            assert (ROOT / named).is_file(), named
        else:
            assert name in (functions(path) if path else everywhere), named


def rows(page: str) -> list[str]:
    """Rows of the tables of guarantees on a page."""
    lines = (ROOT / page).read_text().splitlines()
    found = []
    for start in (i for i, line in enumerate(lines) if line == TABLE):
        end = lines.index('', start) if '' in lines[start:] else len(lines)
        found += lines[start + 2 : end]
    return found


@pytest.mark.parametrize('page', ['SECURITY.md', 'docs/faults.md', 'docs/guarantees.md'])
def test_every_guarantee_names_a_test(page):
    assert rows(page)
    for row in rows(page):
        assert named_tests(row.split('|')[2]), row
