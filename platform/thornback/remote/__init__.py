"""Jobs at providers: orders that are never paid twice, followed by webhook and poll, their files fetched at once."""
