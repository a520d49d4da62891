"""One run from its pictures to its result, and many runs in one process."""
