"""The one place that turns an error into an HTTP answer: RFC 9457 problem documents.

`STATUS` is the only table from error code to HTTP status; the domain's errors know nothing of HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from serve_apps.api.spec_body import SPEC_TAGS, UNKNOWN_SPEC, wrong_spec
from thornback.errors import InvalidInput, NotSignedIn, QuotaExceeded, ThornbackError, TooManyTries
from thornback.jobs.spec import field_told
from thornback.log import get_logger
from thornback.masking import Masker

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2  # an actor or a replica is back within this time after a crash

STATUS: Mapping[str, int] = {
    "invalid_json": 400,
    "signature_invalid": 401,
    "not_signed_in": 401,
    "forbidden": 403,
    "cross_origin": 403,
    "link_refused": 403,
    "link_expired": 403,
    "not_found": 404,
    "job_not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "bad_header": 400,
    "upload_gone": 410,
    "unsupported_tus_version": 412,
    "upload_locked": 423,
    "checksum_mismatch": 460,
    "storage_full": 507,
    "job_is_final": 409,
    "job_is_active": 409,
    "version_in_use": 409,
    "idempotency_conflict": 409,
    "training_stopped": 409,
    "body_too_slow": 408,
    "body_too_large": 413,
    "address_too_long": 414,
    "headers_too_large": 431,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "too_many_tries": 429,
    "too_many_requests": 429,
    "quota_exceeded": 429,
    "spend_exceeded": 402,
    "budget_spent": 402,
    "unknown_host": 421,
    "invalid_input": 422,
    "invalid_data": 422,
    "address_refused": 422,
    "weights_unavailable": 422,
    "internal": 500,
    "invalid_settings": 500,
    "training_failed": 500,
    "backend_error": 502,
    "provider_error": 502,
    "provider_refused": 502,
    "order_unknown": 404,
    "answer_lost": 502,
    "fetch_failed": 502,
    "output_gone": 502,
    "provider_unavailable": 503,
    "unavailable": 503,
    "storage_unavailable": 503,
    "store_unavailable": 503,
    "too_many_streams": 503,
}

# Statuses of the tus protocol that HTTP itself does not know.
_TITLES: Mapping[int, str] = {460: "Checksum Mismatch"}
_CODE_BY_STATUS = {400: "invalid_json", 404: "not_found", 405: "method_not_allowed"}
_log = get_logger("api")
_mask = Masker()  # an error may quote what was sent


class InvalidJson(InvalidInput):
    """The body is not JSON."""

    code = "invalid_json"


class UnsupportedMediaType(ThornbackError):
    """The body has another content type than the one that is read here."""

    code = "unsupported_media_type"


class BodyTooLarge(ThornbackError):
    """The body has more bytes than are taken here."""

    code = "body_too_large"


class RangeNotSatisfiable(ThornbackError):
    """The asked bytes lie outside the file; `details["size"]` is its length."""

    code = "range_not_satisfiable"


class FieldProblem(BaseModel):
    """One field and what is wrong with it."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem document. `code` is stable and meant for programs, `detail` for people."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:thornback:problem:job_not_found"])
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    errors: list[FieldProblem] | None = None


def problem_response(
    code: str,
    detail: str,
    *,
    instance: str | None = None,
    status: int | None = None,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem document; a 503 says when to come back."""
    status = status or STATUS[code]
    headers = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    body = _mask.deep(dict(details or {})) | {
        "type": f"urn:thornback:problem:{code}",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": _mask(detail),
        "code": code,
    }
    if instance is not None:
        body["instance"] = instance
    return JSONResponse(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def from_error(error: ThornbackError, *, instance: str | None = None) -> JSONResponse:
    """The answer to one of our errors; a 500 keeps its sentence to itself."""
    if STATUS.get(error.code, 500) == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _internal(instance)
    return problem_response(
        error.code, error.message, instance=instance, details=error.details, headers=_headers_of(error)
    )


def _headers_of(error: ThornbackError) -> Mapping[str, str]:
    """What the status wants beside the body."""
    match error:
        case RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.details['size']}"}
        case NotSignedIn():
            return {"WWW-Authenticate": "Bearer"}
        case TooManyTries() | QuotaExceeded():
            after = error.details.get("retry_after_s")  # no time brings back what only an end or an admin does
            return {} if after is None else {"Retry-After": str(after)}
        case _:
            return {}


def install(app: FastAPI, *, extra_headers: Mapping[str, str]) -> None:
    """Answer every error of `app` with a problem document.

    Args:
        app: the application.
        extra_headers: added to answers that are made outside the middleware (unexpected errors).
    """

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, ThornbackError)  # noqa: S101 - registered for this type only
        if STATUS.get(error.code, 500) == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request failed", path=request.url.path, code=error.code, message=error.message)
        return from_error(error, instance=request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
        return from_error(from_validation(error.errors()), instance=request.url.path)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
        code = _CODE_BY_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "invalid_input")
        detail = {
            404: f"there is nothing at {request.url.path}",
            405: f"{request.method} is not possible here",
        }.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.setdefault("Allow", "GET, HEAD")  # the console's files; routes say it themselves
        return problem_response(code, detail, status=error.status_code, instance=request.url.path, headers=headers)

    async def unexpected(request: Request, error: Exception) -> Response:
        _log.error("unexpected error", path=request.url.path, exc_info=error)
        answer = _internal(request.url.path)
        answer.headers.update(extra_headers)
        return answer

    app.add_exception_handler(ThornbackError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def from_validation(items: Sequence[Any]) -> InvalidInput:
    """FastAPI's list of complaints as our error, with dotted field names (`config.epochs`)."""
    if any(item["type"] == "json_invalid" for item in items):
        return InvalidJson("the body is not valid JSON", errors=[{"field": "body", "message": _sentence(items[0])}])
    for item in items:
        if item["type"] == UNKNOWN_SPEC and (error := wrong_spec(item["input"])):
            return error
    told = [field_told(_field(item), _sentence(item)) for item in items]
    errors = [{"field": field, "message": message} for field, message in told]
    return InvalidInput("; ".join(f"{item['field']}: {item['message']}" for item in errors), errors=errors)


def _field(item: Mapping[str, Any]) -> str:
    where, *rest = item["loc"]
    if where == "body" and rest and rest[0] in SPEC_TAGS:
        rest = rest[1:]  # pydantic names the member of the union as if it were a field
    name = ".".join(str(part) for part in rest)
    return name or str(where)


def _sentence(item: Mapping[str, Any]) -> str:
    message = str(item["msg"])
    if item["type"] == "json_invalid":
        return f"{message}: {item.get('ctx', {}).get('error', '')}".rstrip(": ")
    # pydantic prefixes what a validator of ours said; the sentence stands on its own
    return re.sub(r"^(Value|Assertion) error, ", "", message)


def _internal(instance: str | None) -> JSONResponse:
    return problem_response(
        "internal", "something went wrong on our side; the log of the API has it", instance=instance
    )
