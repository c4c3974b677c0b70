"""One table from error to status; every error is a problem document."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, NoReturn

import pytest

import serve_apps.api
from serve_apps.api.problems import MEDIA_TYPE, STATUS, from_error
from tests.fixtures.api import JOBS, ApiPlatform
from thornback.errors import ThornbackError, Unavailable


def every_error() -> list[type[ThornbackError]]:
    for module in pkgutil.walk_packages(serve_apps.api.__path__, "serve_apps.api."):
        if not module.name.endswith("deployment"):  # it needs Ray
            importlib.import_module(module.name)
    found, todo = [], [ThornbackError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        # Errors of the client, of the command line and of a node's start never come out of the API.
        elsewhere = kind.__module__.startswith(("thornback.client.", "thornback.cli.", "thornback.node."))
        if kind.__module__.startswith(("thornback.", "serve_apps.")) and not elsewhere:
            found.append(kind)
    return found


@pytest.mark.parametrize("code", sorted({kind.code for kind in every_error()}))
def test_every_error_has_its_status(code: str) -> None:
    assert code in STATUS


def test_a_500_keeps_its_sentence_to_itself() -> None:
    answer = from_error(ThornbackError("password is hunter2", path="/etc/secret"))
    assert answer.status_code == 500
    assert b"hunter2" not in answer.body
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/../../etc/passwd", 404, "not_found"),
        ("GET", "/%2e%2e/api/app.py", 404, "not_found"),
        ("PATCH", JOBS, 405, "method_not_allowed"),
        ("GET", f"{JOBS}/01a1fc58-4562-7352-8bd7-265448657ece/cancel", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", f"{JOBS}/not-a-uuid", 422, "invalid_input"),
    ],
)
async def test_every_refusal_is_a_problem_document(
    api: ApiPlatform, method: str, path: str, status: int, code: str
) -> None:
    async with api.client() as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:thornback:problem:{code}")
    assert problem["title"]
    assert problem["detail"]
    assert ("allow" in answer.headers) == (status == 405)


async def test_broken_json_is_a_400(api: ApiPlatform) -> None:
    async with api.client() as client:
        answer = await client.post(JOBS, content=b'{"job_name": ', headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


class BrokenReader:
    """Fails at every question."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Any:
        def fail(*_: Any, **__: Any) -> NoReturn:
            raise self._error

        return fail


async def test_the_unexpected_is_a_500_that_tells_nothing(api: ApiPlatform) -> None:
    async with api.client(api.app(reader=BrokenReader(RuntimeError("secret table")))) as client:
        answer = await client.get(JOBS)
    assert (answer.status_code, answer.headers["content-type"]) == (500, MEDIA_TYPE)
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


async def test_what_is_away_is_a_503(api: ApiPlatform) -> None:
    async with api.client(api.app(reader=BrokenReader(Unavailable("the database rests")))) as client:
        answer = await client.get(JOBS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["detail"] == "the database rests"
