"""TensorFlow operations behind plain functions: convolution, padding, graphs."""
