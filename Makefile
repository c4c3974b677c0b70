# Each target is one script of the same name and needs nothing but sh and a Python (3.11 to 3.13).
# Another Python than the first that is found: make demo PYTHON=python3.12
export PYTHON

.PHONY: help demo test test-all check setup wheel clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

demo: ## Train a small model through the API and watch it live; make demo ARGS=--video or ARGS=--remote
	@scripts/demo $(ARGS)

test: ## Lint, types, import direction, tests
	@scripts/test

test-all: ## The same with the slow tests
	@scripts/test -m ''

check: ## Lint, types, import direction
	@scripts/check

setup: ## Only make .venv and install
	@scripts/setup

wheel: ## Build dist/ for a cluster
	@scripts/wheel

clean: ## Remove what these commands made in this folder (not ~/.thornback)
	rm -rf .venv .venv.unfinished .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
