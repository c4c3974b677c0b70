"""The store's promises, held by SQLite and by a real PostgreSQL."""
