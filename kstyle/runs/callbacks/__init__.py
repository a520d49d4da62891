"""Keras callbacks of a run: logs, checkpoints, divergence, early stops."""
