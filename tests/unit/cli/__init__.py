"""Tests of thornback.cli without Ray and without a network."""
