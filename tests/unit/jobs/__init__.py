"""Job specifications, events and their fold."""
