"""Webhooks of the providers: who sent them, what they mean, what becomes of those that mean nothing."""
