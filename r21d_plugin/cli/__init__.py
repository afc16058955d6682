"""Shared parts of the commands: arguments, errors, processes, and the console script ``r21d``."""
