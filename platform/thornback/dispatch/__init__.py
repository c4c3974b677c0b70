"""Which job starts when, and putting right what the database and the backends see differently."""
