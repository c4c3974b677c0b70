"""Tests of thornback.client without Ray and without a network."""
