import pytest

pytestmark = pytest.mark.slow


def test_pages_are_up_to_date(tool):
    """Each page equals what tools/write_docs.py writes."""
    tool('write_docs.py', '--check')
