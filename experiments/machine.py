"""Describe the machine of a measurement."""

import platform
from pathlib import Path


def processor_name() -> str:
    """Return the CPU model as named by Linux."""
    cpuinfo = Path('/proc/cpuinfo')
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()
