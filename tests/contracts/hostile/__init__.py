"""What strangers send: files, bodies, addresses, floods."""
