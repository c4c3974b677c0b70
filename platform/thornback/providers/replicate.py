"""Replicate, through its official client."""

from __future__ import annotations

from thornback.providers.replicate_body import read_sighting

__all__ = ["read_sighting"]
