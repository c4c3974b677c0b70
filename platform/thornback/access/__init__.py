"""Who may do what: roles, passwords, keys and sessions. Knows no database and no HTTP."""
