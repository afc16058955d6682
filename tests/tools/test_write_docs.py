import pytest

pytestmark = pytest.mark.slow


def test_pages_are_up_to_date(tool):
    """As tools/write_docs.py would write them."""
    tool('write_docs.py', '--check')
