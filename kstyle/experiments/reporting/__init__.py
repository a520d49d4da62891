"""Reports of an experiment: pages, charts, tables and TensorBoard events."""
