"""Roles, passwords, tokens, tickets, pauses."""
