"""Signatures, keys, and what a webhook means: pure, no database and no network."""
