"""Tests of single modules: no Ray, no network."""
