"""Experiments with the networks; not installed with the package."""
