"""What can be submitted."""

from __future__ import annotations

from fastapi import APIRouter

from serve_apps.api.schemas import KindList, KindOut
from thornback.jobs.spec import SPEC_BY_KIND

router = APIRouter(tags=["kinds"])


@router.get("/api/v1/kinds", summary="Kinds of jobs")
async def list_kinds() -> KindList:
    """Every kind with the JSON schema of its specification, for forms and for completion."""
    kinds = [
        KindOut(kind=kind, description=(model.__doc__ or "").strip(), spec=model.model_json_schema())
        for kind, model in sorted(SPEC_BY_KIND.items())
    ]
    return KindList(kinds=kinds)
