"""The database and the storage, copied while the platform runs, and put back."""
