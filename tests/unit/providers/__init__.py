"""Tests of the providers, without a provider."""
