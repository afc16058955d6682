"""HTML reports of tests."""

from .page import write_report
from .work_dir import FinishedTest, find_test

__all__ = ['FinishedTest', 'find_test', 'write_report']
