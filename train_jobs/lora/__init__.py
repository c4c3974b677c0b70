"""LoRA training of image models on our own GPUs."""
