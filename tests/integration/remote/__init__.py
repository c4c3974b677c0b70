"""Trackers against the simulated providers, over real HTTP."""
