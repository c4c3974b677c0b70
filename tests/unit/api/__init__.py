"""The HTTP API in this process: no network."""
