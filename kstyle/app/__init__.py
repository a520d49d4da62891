"""`kstyle app`: paint pictures in a browser; a process beside the server paints."""
