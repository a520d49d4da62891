"""Picture files and arrays: reading, writing, colour, sizes and crops."""
