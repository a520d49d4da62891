"""Show finished runs: the list of runs in a folder, a page of them, films of a run."""
