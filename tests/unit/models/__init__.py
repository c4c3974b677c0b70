"""Tests of thornback.models."""
