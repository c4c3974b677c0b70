"""What fal says of a request: its webhook, its status with the result beside it, a row of its request list.

fal has no word for failure in its queue: a request is COMPLETED, and only its result tells whether it failed.
A status that says COMPLETED is therefore read together with the result:

    {"status": "COMPLETED", "request_id": …, "logs": […], "metrics": {…}, "payload": <result>, "result_status": 200}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from thornback.errors import InvalidInput
from thornback.providers.port import OrderPhase, Sighting
from thornback.providers.reading import Fields, addresses

PHASES: Mapping[str, OrderPhase] = {
    "IN_QUEUE": OrderPhase.STARTING,
    "IN_PROGRESS": OrderPhase.PROCESSING,
    "COMPLETED": OrderPhase.SUCCEEDED,
    "OK": OrderPhase.SUCCEEDED,  # in webhooks
    "ERROR": OrderPhase.FAILED,
}

# fal has no status for it either; this is how its words for a cancelled request begin.
_CANCELLED = re.compile(r"^[\w ]*cancel|\brequest (was |has been )?cancel", re.IGNORECASE)


def read_sighting(
    body: Mapping[str, Any], *, endpoint: str | None = None, inputs: Mapping[str, Any] | None = None
) -> Sighting:
    """Read a webhook, or a status with its result.

    Args:
        body: as above, or as the webhook brought it.
        endpoint: what was asked; fal does not say it.
        inputs: what was sent; fal does not say it.

    Raises:
        InvalidInput: it has no request id, or a status that fal does not have.
    """
    fields = Fields(body)
    provider_id, status = fields.identity("request_id"), fields.identity("status")
    if status not in PHASES:
        raise InvalidInput.field("status", f"{status!r} is none of {', '.join(PHASES)}")
    error = _error(fields)
    phase = _phase(fields, status, error)
    payload = fields.body.get("payload")
    output = payload if phase is OrderPhase.SUCCEEDED else None
    outputs = tuple(addresses(output))
    if phase is OrderPhase.SUCCEEDED and not outputs:
        reason = fields.body.get("payload_error")
        fields.warnings.append(f"output is missing{f': {reason}' if reason else ''}")
    return Sighting(
        provider="fal",
        provider_id=provider_id,
        phase=phase,
        status=status,
        model=endpoint,
        created_at=fields.moment("sent_at"),
        started_at=fields.moment("started_at"),
        completed_at=fields.moment("ended_at"),
        logs=_logs(fields),
        error=error,
        outputs=outputs,
        output=output,
        inputs=inputs or {},
        predict_time_s=fields.seconds("metrics", "inference_time"),
        warnings=tuple(fields.warnings),
    )


def read_listed(row: Mapping[str, Any]) -> Sighting:
    """Read a row of fal's list of requests, which only holds those that have ended.

    Raises:
        InvalidInput: it has no request id.
    """
    fields = Fields(row)
    code = fields.body.get("status_code")
    body = {
        **fields.body,
        "status": "COMPLETED" if fields.body.get("ended_at") else "IN_PROGRESS",
        "payload": fields.body.get("json_output"),
        "result_status": code if isinstance(code, int) else None,
        "metrics": {"inference_time": fields.body.get("duration")},
    }
    sent = fields.body.get("json_input")
    return read_sighting(body, endpoint=fields.text("endpoint_id"), inputs=sent if isinstance(sent, dict) else None)


def detail_text(body: Any) -> str | None:
    """The words of an error body, in either of fal's two forms: a text, or a list with the field of each fault."""
    detail = body.get("detail") if isinstance(body, Mapping) else None
    if isinstance(detail, str):
        return detail
    if not isinstance(detail, list):
        return None
    faults = [_fault(item) for item in detail if isinstance(item, Mapping)]
    return "; ".join(faults) or None


def _fault(item: Mapping[str, Any]) -> str:
    where = item.get("loc")
    place = ".".join(str(part) for part in where) if isinstance(where, list) else ""
    return f"{place}: {item.get('msg')}" if place else str(item.get("msg"))


def _phase(fields: Fields, status: str, error: str | None) -> OrderPhase:
    phase = PHASES[status]
    if phase not in (OrderPhase.SUCCEEDED, OrderPhase.FAILED):
        return phase
    if phase is OrderPhase.FAILED or error is not None:
        told = f"{fields.body.get('error_type') or ''}: {error}"
        return OrderPhase.CANCELLED if _CANCELLED.search(told) else OrderPhase.FAILED
    if status == "COMPLETED" and "payload" not in fields.body:
        fields.warnings.append("completed, but the result that tells how was not read")
        return OrderPhase.PROCESSING
    return phase


def _error(fields: Fields) -> str | None:
    """What went wrong, None where nothing says that anything did."""
    code = fields.body.get("result_status")
    failed = isinstance(code, int) and code >= 400
    told = fields.text("error")
    kind = fields.body.get("error_type")
    if not (failed or told or kind or fields.body.get("status") == "ERROR"):
        return None
    parts = [told, detail_text(fields.body.get("payload"))]
    words = ": ".join(dict.fromkeys(part for part in parts if part))
    if words:
        return words
    return str(kind) if kind else f"the result answered {code}" if failed else "fal gave no reason"


def _logs(fields: Fields) -> str | None:
    logs = fields.body.get("logs")
    if logs is None or isinstance(logs, str):
        return logs
    if not isinstance(logs, list):
        fields.warnings.append("logs cannot be read")
        return None
    messages = [item.get("message") if isinstance(item, dict) else item for item in logs]
    return "\n".join(message for message in messages if isinstance(message, str)) or None
