"""Entry points of `ray job submit -- python -m train_jobs.<kind>`."""
