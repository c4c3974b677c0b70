"""A server that speaks the providers' wire protocols, to try everything without spending money."""
