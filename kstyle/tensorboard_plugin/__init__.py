"""TensorBoard's tab "kstyle": runs beside each other, by their options and losses."""
