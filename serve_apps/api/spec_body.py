"""The body of a POST that makes a job: one model per kind, told apart by `kind`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from thornback.jobs.spec import SPEC_BY_KIND

UNKNOWN_KIND = "unknown_kind"


def _kind(body: Any) -> Any:
    """Left out it is a convnext, as in the API of the system that this one takes over."""
    kind = body.get("kind", "convnext") if isinstance(body, Mapping) else getattr(body, "kind", "convnext")
    return kind if isinstance(kind, str) else None


_tagged: Any = reduce(or_, [Annotated[model, Tag(kind)] for kind, model in SPEC_BY_KIND.items()])

SpecBody = Annotated[
    _tagged,
    Discriminator(
        _kind,
        custom_error_type=UNKNOWN_KIND,
        custom_error_message=f"is unknown; use one of {', '.join(sorted(SPEC_BY_KIND))}",
    ),
]
