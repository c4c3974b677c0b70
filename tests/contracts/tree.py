"""Every module of the three packages, by name."""

from __future__ import annotations

import importlib
import pkgutil

import serve_apps
import thornback
import train_jobs

# Run by others and never imported: `python -m …`, and Alembic's own script.
NOT_IMPORTED = ("__main__", "env")


def module_names() -> list[str]:
    """In order; importing packages on the way to their modules is part of the walk."""
    found = [
        module.name
        for package in (thornback, serve_apps, train_jobs)
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=_raise)
    ]
    return sorted(name for name in found if name.rpartition(".")[2] not in NOT_IMPORTED)


def import_everything() -> None:
    """Import every module of the tree into this process."""
    for name in module_names():
        importlib.import_module(name)


def _raise(_: str) -> None:
    raise  # noqa: PLE0704  pkgutil calls this inside its own `except`
