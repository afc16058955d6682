"""Build backend: setuptools, plus what mim needs of an editable install.

``mim`` looks for a package at ``<folder of its metadata>/<name>`` and then at
``<folder of its metadata>/<first line of top_level.txt>``. An editable install
keeps the metadata in site-packages and the package elsewhere, so that mim
finds neither. Writing the absolute path of the package into ``top_level.txt``
sends it to the checkout itself: nothing is copied, nothing goes stale.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

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
    with TemporaryDirectory() as metadata:
        name = prepare_metadata_for_build_editable(metadata, config_settings)
        Path(metadata, name, 'top_level.txt').write_text(f'{PACKAGE}\n')
        return build_meta.build_editable(wheel_directory, config_settings, metadata)
