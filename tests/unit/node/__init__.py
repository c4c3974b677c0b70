"""Tests of thornback.node without Ray and without a network."""
