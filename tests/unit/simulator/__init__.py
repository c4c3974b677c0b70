"""The simulator's parts, without HTTP."""
