"""The body of a POST that makes a job: one model per kind and what runs it, told apart by `kind` and `backend`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from thornback.errors import InvalidInput
from thornback.jobs.spec import DEFAULT_KIND, SPECS, spec_model

UNKNOWN_SPEC = "unknown_spec"

_MODELS = tuple(dict.fromkeys(SPECS.values()))

SPEC_TAGS = frozenset(model.__name__ for model in _MODELS)
"""What pydantic puts before the name of a field, as if it were one itself."""


def wrong_spec(body: Any) -> InvalidInput | None:
    """What is wrong with the kind or the backend of a body, None where they go together."""
    try:
        _model_of(body)
    except InvalidInput as error:
        return error
    return None


def _model_of(body: Any) -> type:
    """A kind left out is a convnext, as in the API of the system that this one takes over."""
    if isinstance(body, Mapping):
        return spec_model(body.get("kind", DEFAULT_KIND), body.get("backend"))
    return spec_model(getattr(body, "kind", DEFAULT_KIND), getattr(body, "backend", None))


def _tag(body: Any) -> str | None:
    return None if wrong_spec(body) else _model_of(body).__name__


_tagged: Any = reduce(or_, [Annotated[model, Tag(model.__name__)] for model in _MODELS])

SpecBody = Annotated[
    _tagged,
    # The message stands in for `wrong_spec`, which needs the body to say more.
    Discriminator(_tag, custom_error_type=UNKNOWN_SPEC, custom_error_message="kind and backend do not go together"),
]
