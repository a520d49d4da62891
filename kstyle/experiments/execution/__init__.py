"""Executors of trials: one by one, in processes, on a Ray cluster."""
