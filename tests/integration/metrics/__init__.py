"""The metrics actor and reporters in real processes that are killed."""
