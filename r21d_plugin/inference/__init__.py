"""Predictions, features and exported files from a config and a checkpoint."""
