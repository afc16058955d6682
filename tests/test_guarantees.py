"""What the documentation promises names the test that holds it, and that test exists."""

import re

import pytest
from support import ROOT

PAGES = ['README.md', 'SECURITY.md', *(f'docs/{path.name}' for path in ROOT.glob('docs/*.md'))]
TABLE = '| guarantee | test |'
OPTIONS = {'test_clips', 'test_'}
"""Options that are named like tests."""


def named_tests(text: str) -> set[str]:
    """Tests, and files of them, in a text."""
    files = set(re.findall(r'tests/[\w/]+\.py', text))
    return files | set(re.findall(r'(?:`|::)(test_\w*)`', text)) - OPTIONS


@pytest.fixture(scope='module')
def functions() -> set[str]:
    """Names of all tests."""
    texts = (path.read_text() for path in (ROOT / 'tests').rglob('test_*.py'))
    return {name for text in texts for name in re.findall(r'^def (test_\w+)\(', text, re.M)}


@pytest.mark.parametrize('page', PAGES)
def test_every_test_that_is_named_exists(page, functions):
    for name in named_tests((ROOT / page).read_text()):
        assert name in functions or (ROOT / name).is_file(), name


def rows(page: str) -> list[str]:
    """Rows of the tables of guarantees on a page."""
    lines = (ROOT / page).read_text().splitlines()
    found = []
    for start in (i for i, line in enumerate(lines) if line == TABLE):
        end = lines.index('', start) if '' in lines[start:] else len(lines)
        found += lines[start + 2 : end]
    return found


@pytest.mark.parametrize('page', ['SECURITY.md', 'docs/faults.md'])
def test_every_guarantee_names_a_test(page):
    assert rows(page)
    for row in rows(page):
        assert named_tests(row.split('|')[2]), row
