"""constraints.txt names every version, once, and the environment that runs the tests has these."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PINS: dict[str, str] = {
    canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)
}
INSTALLED_EXTRAS = ("dev",)


def _requirements(*extras: str) -> list[Requirement]:
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def _reachable(roots: list[Requirement]) -> set[str]:
    """Names of all distributions that `roots` bring into this environment, themselves included."""
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in roots]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                needs = distribution(name).requires or []
                waiting += [(Requirement(need), wanted) for need in needs]
    return {name for name, _ in seen} - {"thornback"}


def test_each_line_is_one_exact_version() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []


def test_each_name_stands_once_and_in_order() -> None:
    names = [canonicalize_name(line.partition("==")[0]) for line in LINES]
    assert names == sorted(set(names))


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_every_requirement_is_pinned(extra: str) -> None:
    wanted = {canonicalize_name(need.name) for need in _requirements(*filter(None, [extra]))} - {"thornback"}
    assert wanted - PINS.keys() == set()


def test_this_environment_has_the_versions_of_the_file() -> None:
    """Everything that the installed package brings, to the last distribution. `+cpu` and the like may differ."""
    names = _reachable(_requirements(*INSTALLED_EXTRAS))
    installed = {name: Version(distribution(name).version).public for name in names}
    assert {name: version for name, version in installed.items() if PINS.get(name) != version} == {}
