"""Webhooks through the API into real databases."""
