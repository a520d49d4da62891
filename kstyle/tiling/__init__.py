"""Features and gradients of large pictures, tile by tile."""
