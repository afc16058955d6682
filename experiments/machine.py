"""The machine that a figure was measured on."""

import platform
from pathlib import Path


def processor_name() -> str:
    """Model of the CPU, as Linux names it."""
    cpuinfo = Path('/proc/cpuinfo')
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()
