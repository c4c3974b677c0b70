"""Who runs a job: one file per backend, all of the shape that `port.py` describes."""
