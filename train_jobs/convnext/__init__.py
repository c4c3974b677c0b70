"""Train a ConvNeXt classifier on audio."""
