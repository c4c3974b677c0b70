"""Tests with Ray and real processes."""
