"""problem+json becomes the error that the server raised."""

from __future__ import annotations

import pickle

import httpx2
import pytest

from tests.unit.client.server import JOB_ID, Script, problem
from thornback import errors
from thornback.client import ServerUnreachable
from thornback.client.problems import error_of

PATH = f"/api/v1/training/jobs/{JOB_ID}"


@pytest.mark.parametrize(
    "kind",
    [
        errors.InvalidInput,
        errors.DataError,
        errors.NotFound,
        errors.JobNotFound,
        errors.JobIsFinal,
        errors.JobIsActive,
        errors.IdempotencyConflict,
        errors.StoreUnavailable,
        errors.BackendError,
        errors.WeightsUnavailable,
    ],
)
def test_code_decides_the_class(kind: type[errors.ThornbackError]) -> None:
    # The status is deliberately not the one that the API would send: the code wins.
    error = error_of(problem(418, kind.code, "the sentence", job_id="x"))
    assert type(error) is kind
    assert error.message == "the sentence"
    assert error.details["job_id"] == "x"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidInput),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (422, errors.InvalidInput),
        (429, errors.Unavailable),
        (500, errors.ThornbackError),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (504, errors.Unavailable),
    ],
)
def test_without_a_problem_document_the_status_decides(status: int, kind: type[errors.ThornbackError]) -> None:
    error = error_of(httpx2.Response(status, text="<html>a proxy's page</html>"))
    assert type(error) is kind
    assert str(status) in error.message
    assert error.details["http_status"] == status


def test_a_code_of_a_newer_server_falls_back_to_the_status() -> None:
    assert type(error_of(problem(409, "something_new"))) is errors.Conflict


@pytest.mark.parametrize("content", [b"not json", b"[1, 2]", b'"text"', b""])
def test_a_broken_document_is_survived(content: bytes) -> None:
    response = httpx2.Response(503, content=content, headers={"content-type": "application/problem+json"})
    assert type(error_of(response)) is errors.Unavailable


def test_field_errors_arrive() -> None:
    fields = [{"field": "config.epochs", "message": "too many"}]
    client = Script().on("POST /api/v1/training/jobs", problem(422, "invalid_input", errors=fields)).client()
    with pytest.raises(errors.InvalidInput) as caught:
        client.submit("a", {"epochs": 10**6})
    assert caught.value.details["errors"] == fields


@pytest.mark.parametrize("error", [httpx2.ConnectError("refused"), httpx2.ReadTimeout("slow"), httpx2.ReadError("cut")])
def test_no_connection_names_the_address_and_the_way_out(error: httpx2.TransportError) -> None:
    client = Script().on(f"GET {PATH}", error).client()
    with pytest.raises(ServerUnreachable, match=r"http://server:1.*thornback up") as caught:
        client.get(JOB_ID)
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message
