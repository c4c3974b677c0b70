"""The command line: `thornback …`."""
