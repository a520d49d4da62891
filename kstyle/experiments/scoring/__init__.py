"""Scores of a result, measured by one fixed network."""
