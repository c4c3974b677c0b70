"""Text that a trainer printed -> how far it is. Pure."""
