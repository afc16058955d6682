"""Importing this fails in one line where what the plugin for MMAction2 needs is missing."""

from ._packages import check_plugin

check_plugin()
