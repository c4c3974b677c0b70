"""Where the files of cluster/ are, and what they have in common with the project."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CLUSTER = ROOT / "cluster"
LAUNCHED = ("aws", "gcp", "local")

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


def shipped() -> list[Path]:
    """All files of cluster/ that people deploy; what is private is not in git."""
    found = (path for path in CLUSTER.rglob("*") if path.is_file() and "private" not in path.relative_to(CLUSTER).parts)
    return sorted(found)


def load(name: str) -> Any:
    """A YAML file of cluster/ with one document."""
    return yaml.safe_load((CLUSTER / name).read_text())


def values(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a document with the path to it."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from values(value, f"{path}/{key}")
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from values(value, f"{path}/{number}")
    else:
        yield path, tree
