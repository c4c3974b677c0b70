"""Thornback: a distributed training platform on Ray."""

__version__ = "0.1.0"
