"""The pure parts of the backends."""
