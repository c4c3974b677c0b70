"""Replicate and fal on this machine: their wire protocols, made-up trainings, and faults on demand.

No product code knows of it; the command line starts it, and tests talk to it.
"""
