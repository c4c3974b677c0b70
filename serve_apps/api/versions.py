"""The versions of what this process stands on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import sqlalchemy as sa

import thornback
from thornback.errors import StoreUnavailable
from thornback.store.about import database_version, schema_revision

_PACKAGES = ("ray", "torch")


@cache
def own_versions() -> dict[str, str | None]:
    """Of the programs; None for one that is not installed here."""
    return {
        "thornback": thornback.__version__,
        "python": platform.python_version(),
        **{name: _installed(name) for name in _PACKAGES},
    }


def all_versions(engine: sa.Engine) -> dict[str, str | None]:
    """The same with the database's and that of its tables; None where it does not answer. Blocks."""
    try:
        found = {"database": database_version(engine), "schema": schema_revision(engine)}
    except StoreUnavailable:
        found = {"database": None, "schema": None}
    return {**own_versions(), **found}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
