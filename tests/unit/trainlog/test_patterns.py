"""By construction: no pattern can take exponential time, whatever the line."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import thornback.trainlog

# The parser of patterns has no public name.
sre: Any = importlib.import_module("re._constants")
sre_parser: Any = importlib.import_module("re._parser")

_MOST = 1_000


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for module in pkgutil.iter_modules(thornback.trainlog.__path__, "thornback.trainlog."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name.rpartition('.')[2]}.{name}", value


def repeats(tree: Any) -> Iterator[tuple[int, bool]]:
    """(most, whether something that repeats without bound is inside) of each repeat."""
    for op, argument in tree:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            yield argument[1], any(most >= _MOST for most, _ in repeats(argument[2]))
            yield from repeats(argument[2])
        elif op is sre.BRANCH:
            for branch in argument[1]:
                yield from repeats(branch)
        elif op is sre.SUBPATTERN:
            yield from repeats(argument[3])
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            yield from repeats(argument[1])


FOUND = dict(patterns())


@pytest.mark.parametrize("name", FOUND)
def test_no_repeat_without_bound_is_inside_another(name: str) -> None:
    """That is what makes a pattern take exponential time."""
    found = list(repeats(sre_parser.parse(FOUND[name].pattern, FOUND[name].flags)))
    assert not any(most >= _MOST and inside for most, inside in found)


def test_the_check_can_fail() -> None:
    assert next(repeats(sre_parser.parse("(a+)+")))[1]
