"""One suite over every implementation of a port, and tests of the public surface."""
