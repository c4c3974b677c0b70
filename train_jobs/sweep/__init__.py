"""Sweeps: many trials of one training, chosen and ended by Ray Tune, each a job of its own."""
