"""Whole nodes: real processes, real Ray, real signals."""
