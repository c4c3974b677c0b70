"""The HTTP API and the console, deployed by Ray Serve."""
