"""Trained models and their versions."""
