"""What a job is: its specification, status, events and the one function that folds them.

No Ray, no torch, no SQL in this package.
"""
