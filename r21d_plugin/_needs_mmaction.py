"""Import this module to raise a one-line error if the plugin's requirements are missing."""

from ._packages import check_plugin

check_plugin()
