"""Memory allocation of processes that compute on the CPU."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Make the allocator reuse freed memory instead of returning it to the system.

    Otherwise every activation is mapped anew, and page faults take half the time of a test of ten
    clips. The setting (``mallopt``) requires glibc; without it the function returns False. It holds
    for the whole process, which keeps its peak memory. Call this function before large allocations.
    """
    if sys.platform == 'win32':
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
