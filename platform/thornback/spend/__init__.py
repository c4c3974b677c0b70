"""Prices, quotas and what is said of them. Pure: rows are the store's, refusals are decided here."""
