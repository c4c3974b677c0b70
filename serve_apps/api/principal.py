"""Who asks. Access control replaces this one dependency; no route needs to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

LOCAL_USER = "local"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request."""

    user: str


async def current_principal() -> Principal:
    """The API listens on loopback and knows one user: whoever can reach it."""
    return Principal(user=LOCAL_USER)


Caller = Annotated[Principal, Depends(current_principal)]
