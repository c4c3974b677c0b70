"""Somebody else's Serve application on a shared cluster."""

from __future__ import annotations

from ray import serve
from starlette.requests import Request


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Theirs:
    """Says who it is."""

    async def __call__(self, request: Request) -> str:
        """The same for every request."""
        return f"theirs at {request.url.path}"


app = Theirs.bind()  # type: ignore[attr-defined]
