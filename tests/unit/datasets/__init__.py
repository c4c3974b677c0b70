"""Datasets, without Ray or network."""
