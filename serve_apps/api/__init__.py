"""FastAPI: jobs, live streams, health."""
