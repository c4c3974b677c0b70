"""The HTTP API over both databases and over several replicas: what every client may rely on."""
