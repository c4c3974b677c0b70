"""How events get into the database and out to whoever watches."""
