"""Scores of results: a fixed network's distances, pixel statistics, loss curves."""
