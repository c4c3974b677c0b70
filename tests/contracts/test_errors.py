"""Every error of the tree crosses a process and an actor whole."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.tree import import_everything
from thornback.errors import ThornbackError


def _tree(kind: type[ThornbackError]) -> Iterator[type[ThornbackError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


@pytest.fixture(scope="module")
def errors() -> list[type[ThornbackError]]:
    """All of them: errors may be defined beside what raises them, so everything is imported."""
    import_everything()
    ours = {kind for kind in _tree(ThornbackError) if not kind.__module__.startswith("tests.")}
    return sorted(ours, key=lambda kind: kind.__qualname__)


def _make(kind: type[ThornbackError]) -> ThornbackError:
    """An instance, whatever its `__init__` asks for: each argument is given a text that shows its name."""
    _, *parameters = inspect.signature(kind.__init__).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    arguments = [item for item in parameters if item.default is item.empty and item.kind not in variable]
    by_name: dict[str, Any] = {item.name: f"a {item.name}" for item in arguments if item.kind is item.KEYWORD_ONLY}
    return kind(*(f"a {item.name}" for item in arguments if item.kind is not item.KEYWORD_ONLY), **by_name)


def test_each_comes_back_from_pickle_as_it_was(errors: list[type[ThornbackError]]) -> None:
    assert len(errors) > 10
    for kind in errors:
        error = _make(kind)
        error.details["fields"] = [{"field": "epochs", "message": "at least 1"}]
        for _ in range(2):  # a second hop: driver to actor to API
            error, before = pickle.loads(pickle.dumps(error)), error
            assert type(error) is kind
            assert str(error) == str(before) == before.message
            assert error.details == before.details
            assert error.code == kind.code


def test_each_code_belongs_to_one_error(errors: list[type[ThornbackError]]) -> None:
    """A program tells errors apart by their code. A class without one of its own goes by its parent's."""
    codes = [kind.code for kind in errors if "code" in vars(kind)]
    assert sorted(codes) == sorted(set(codes))
