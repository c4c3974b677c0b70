"""The dispatcher, the metrics actor and drivers as real processes, and what happens when they are killed."""
