"""Hosted trainers and image models: one shape for all, with what each costs and calls its inputs."""
