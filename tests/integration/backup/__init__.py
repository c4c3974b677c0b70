"""A backup of a platform that goes on, and what is made of it."""
