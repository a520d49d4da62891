"""The machine: processor, memory, devices, precision and TensorFlow's start."""
