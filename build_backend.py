"""Build backend: setuptools, plus what it cannot express.

``mim`` looks for a package at ``<folder of its metadata>/<name>`` and then at
``<folder of its metadata>/<first line of top_level.txt>``. An editable install
keeps the metadata in site-packages and the package elsewhere, so that mim
finds neither. Writing the absolute path of the package into ``top_level.txt``
sends it to the checkout itself: nothing is copied, nothing goes stale.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from wheel.wheelfile import WheelFile

__all__ = [
    'build_editable',
    'build_sdist',
    'build_wheel',
    'get_requires_for_build_editable',
    'get_requires_for_build_sdist',
    'get_requires_for_build_wheel',
    'prepare_metadata_for_build_editable',
    'prepare_metadata_for_build_wheel',
]

PACKAGE = Path(__file__).resolve().parent / 'r21d_plugin'


def build_editable(
    wheel_directory: str,
    config_settings: dict | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel of an editable install (PEP 660)."""
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    path = Path(wheel_directory, name)
    top_level = f'{WheelFile(path).dist_info_path}/top_level.txt'
    rewrite(path, {top_level: f'{PACKAGE}\n'.encode()})
    return name


def rewrite(path: Path, files: dict[str, bytes]) -> None:
    """Add files to a wheel, or replace them."""
    with WheelFile(path) as wheel:
        record = wheel.record_path
        files = {**{name: wheel.read(name) for name in wheel.namelist() if name != record}, **files}
    path.unlink()
    with WheelFile(path, 'w') as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
