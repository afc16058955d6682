"""Memory of a process that computes on the CPU."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let what is freed be used again, instead of returning it to the system.

    Each activation of a network is otherwise mapped anew, and its pages are faulted in one by one:
    half the time of a test of ten clips. The setting is glibc's (``mallopt``), holds for the whole
    process, which keeps the most memory that it has used, and should come before the first large
    allocation. Our scripts choose it where they compute on the CPU; importing this package does
    not.

    Returns:
        bool: Whether the C library has such a setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
