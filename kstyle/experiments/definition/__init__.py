"""Experiment files: axes, parts and trials."""
