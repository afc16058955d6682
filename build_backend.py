"""Build backend: setuptools, plus what it cannot express.

``mim`` looks for a package at ``<folder of its metadata>/<name>`` and then at
``<folder of its metadata>/<first line of top_level.txt>``. An editable install
keeps the metadata in site-packages and the package elsewhere, so that mim
finds neither. Writing the absolute path of the package into ``top_level.txt``
sends it to the checkout itself: nothing is copied, nothing goes stale.

Pythons that are too old run this too, so its syntax is older than theirs.
"""

import os
import sys

if sys.version_info < (3, 8):  # noqa: UP036
    sys.exit('r21d_plugin needs Python 3.8 or later; this is Python ' + sys.version.split()[0])

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

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'r21d_plugin')


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """Build the wheel of an editable install (PEP 660)."""
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    path = os.path.join(wheel_directory, name)
    with WheelFile(path) as wheel:
        top_level = wheel.dist_info_path + '/top_level.txt'
    rewrite(path, {top_level: (PACKAGE + '\n').encode()})
    return name


def rewrite(path, files):
    """Add files (their content by name) to a wheel, or replace them."""
    with WheelFile(path) as wheel:
        contents = {name: wheel.read(name) for name in wheel.namelist()}
        del contents[wheel.record_path]
    contents.update(files)
    os.remove(path)
    with WheelFile(path, 'w') as wheel:
        for name, content in contents.items():
            wheel.writestr(name, content)
