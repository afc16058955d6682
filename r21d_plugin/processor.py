"""What the CPU of this machine is, and can do."""

import logging
import platform
from functools import cache
from pathlib import Path

import torch
from mmengine.logging import print_log


def processor_name() -> str:
    """Model of the CPU, as Linux names it."""
    cpuinfo = Path('/proc/cpuinfo')
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()


@cache
def cpu_capability() -> str:
    """Instructions that PyTorch uses on this CPU, such as ``'AVX2'`` or ``'AVX512'``."""
    return torch.backends.cpu.get_cpu_capability()


def has_bfloat16() -> bool:
    """Whether PyTorch has fast bfloat16 on this CPU, which on x86 takes AVX-512.

    Without, it is several times slower than float32 (docs/performance.md).
    """
    return cpu_capability() not in ('DEFAULT', 'NO AVX', 'AVX2')


@cache
def warn_without_bfloat16() -> None:
    """Say in the log, once, if bfloat16 is slow on this CPU."""
    if not has_bfloat16():
        print_log(
            f'this processor ({processor_name()}) has no instructions for bfloat16, which is '
            'several times slower on it than float32',
            'current',
            logging.WARNING,
        )
