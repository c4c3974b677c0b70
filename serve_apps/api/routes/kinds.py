"""What can be submitted."""

from __future__ import annotations

from fastapi import APIRouter

from serve_apps.api.schemas import KindList, KindOut
from thornback.jobs.spec import SPECS

router = APIRouter(tags=["kinds"])


@router.get("/api/v1/kinds", summary="Kinds of jobs")
async def list_kinds() -> KindList:
    """Every kind, once for each backend that runs it, with the JSON schema of its specification, for forms.

    The first entry of a kind is what a body without a `backend` means.
    """
    kinds = [
        KindOut(kind=kind, backend=backend, description=(model.__doc__ or "").strip(), spec=model.model_json_schema())
        for (kind, backend), model in SPECS.items()
    ]
    return KindList(kinds=kinds)
