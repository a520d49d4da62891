"""Where trials run: in turn, in processes, on a Ray cluster."""
