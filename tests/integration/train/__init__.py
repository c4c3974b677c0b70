"""Training through Ray Train, with real processes."""
