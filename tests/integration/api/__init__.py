"""The HTTP API as a process sees it: real servers, real sockets, Ray Serve."""
