"""Does each part work? Asked by the API for whoever looks, and by the dispatcher for the metrics."""
