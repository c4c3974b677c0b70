"""What Replicate says of a training or a prediction, in a webhook, in an answer or in a list: one shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thornback.errors import InvalidInput
from thornback.providers.port import OrderPhase, Sighting
from thornback.providers.reading import Fields, addresses, is_address

PHASES: Mapping[str, OrderPhase] = {
    "starting": OrderPhase.STARTING,
    "queued": OrderPhase.STARTING,
    "processing": OrderPhase.PROCESSING,
    "succeeded": OrderPhase.SUCCEEDED,
    "failed": OrderPhase.FAILED,
    "canceled": OrderPhase.CANCELLED,
    "cancelled": OrderPhase.CANCELLED,
    "aborted": OrderPhase.CANCELLED,  # its deadline passed before it began
}


def read_sighting(body: Mapping[str, Any]) -> Sighting:
    """Read a training or a prediction.

    Raises:
        InvalidInput: it has no id, or a status that Replicate does not have.
    """
    fields = Fields(body)
    provider_id, status = fields.identity("id"), fields.identity("status")
    phase = PHASES.get(status)
    if phase is None:
        raise InvalidInput.field("status", f"{status!r} is none of {', '.join(PHASES)}")
    succeeded = phase is OrderPhase.SUCCEEDED
    removed = fields.body.get("data_removed") is True
    output = fields.body.get("output")
    _warn_of_gaps(fields, succeeded=succeeded, removed=removed)
    return Sighting(
        provider="replicate",
        provider_id=provider_id,
        phase=phase,
        status=status,
        model=fields.text("model"),
        model_version=fields.text("version"),
        created_at=fields.moment("created_at"),
        started_at=fields.moment("started_at", expected=succeeded),
        completed_at=fields.moment("completed_at", expected=succeeded),
        logs=fields.text("logs"),
        error=fields.text("error"),
        outputs=tuple(addresses(output)),
        output=output,
        version=_made_version(output),
        inputs=fields.mapping("input"),
        predict_time_s=fields.seconds("metrics", "predict_time", expected=succeeded),
        total_time_s=fields.seconds("metrics", "total_time", expected=succeeded),
        web_url=_web_url(fields, provider_id),
        data_removed=removed,
        warnings=tuple(fields.warnings),
    )


def _warn_of_gaps(fields: Fields, *, succeeded: bool, removed: bool) -> None:
    if removed:
        fields.warnings.append("Replicate has removed the inputs and outputs")
        return
    if not fields.body.get("input"):
        fields.warnings.append("input is missing")
    if succeeded and fields.body.get("output") in (None, "", [], {}):
        fields.warnings.append("output is missing")


def _made_version(output: Any) -> str | None:
    version = output.get("version") if isinstance(output, dict) else None
    return version if isinstance(version, str) else None


def _web_url(fields: Fields, provider_id: str) -> str:
    web = fields.mapping("urls").get("web")
    # shown as a link, so nothing but an address may come through
    return web if isinstance(web, str) and is_address(web) else f"https://replicate.com/p/{provider_id}"
