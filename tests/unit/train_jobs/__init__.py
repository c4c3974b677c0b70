"""Training jobs, in one process, without Ray."""
