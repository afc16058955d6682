"""Memory of a process that computes on the CPU."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let what is freed be used again, instead of returning it to the system.

    Each activation of a network is otherwise mapped anew, and its pages are faulted in one by one:
    half the time of a test of ten clips. The setting is glibc's (``mallopt``; else False) and
    the whole process's, which keeps the most memory that it has used. Set it before using much.
    """
    if sys.platform == 'win32':
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
