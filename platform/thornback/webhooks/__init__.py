"""Webhooks that come in: their signatures, what they mean, dead letters."""
