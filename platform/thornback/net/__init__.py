"""Reaching addresses that others name: what may be reached, and what may not."""
