"""The users of a storm: they post, cancel, delete and retry over HTTP, and repeat what got no answer."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.faults.plan import Fate, Planned

JOBS = "/api/v1/training/jobs"
_AGAIN_S = 0.3
_GIVE_UP_S = 600.0
_LONGEST_S = 3600.0  # from a job's making to its end, beside all others on a busy machine
_TEMPORARY = (404, 500, 502, 503, 504)  # Serve's proxy knows no route for the moment after it was started anew


@dataclass
class Asked:
    """One job that was acknowledged, and what became of its user's wishes."""

    planned: Planned
    job_id: str
    retry_id: str | None = None
    too_late: bool = False  # it had ended before the wish arrived


@dataclass
class Users:
    """All of them, over one client."""

    http: httpx2.AsyncClient
    acknowledged: list[Asked] = field(default_factory=list)
    repeats: int = 0  # calls that got no answer, or a temporary one, and were sent again

    async def live(self, planned: Planned) -> None:
        """What the user of one job does."""
        created = await self._call("POST", JOBS, json=dict(planned.body), headers=_once())
        assert created.status_code in (200, 201), created.text
        asked = Asked(planned, created.json()["id"])
        self.acknowledged.append(asked)
        await asyncio.sleep(planned.after_s if planned.cut_short else 0)
        match planned.fate:
            case Fate.CANCEL:
                answer = await self._call("POST", f"{JOBS}/{asked.job_id}/cancel")
                assert answer.status_code in (202, 409), answer.text
                asked.too_late = answer.status_code == 409
            case Fate.DELETE:
                await self._delete(asked.job_id)
            case Fate.RETRY:
                if not await self._ended(asked.job_id):
                    return  # the checker tells
                answer = await self._call("POST", f"{JOBS}/{asked.job_id}/retry", json={}, headers=_once())
                assert answer.status_code in (200, 201), answer.text
                asked.retry_id = answer.json()["id"]
            case Fate.WATCH:
                pass

    async def _delete(self, job_id: str) -> None:
        answer = await self._call("DELETE", f"{JOBS}/{job_id}")
        assert answer.status_code in (202, 204, 404), answer.text

    async def _ended(self, job_id: str) -> bool:
        """False where it does not."""
        deadline = time.monotonic() + _LONGEST_S
        while time.monotonic() < deadline:
            job = (await self._call("GET", f"{JOBS}/{job_id}")).json()["job"]
            if job["status"] in ("completed", "failed", "cancelled"):
                return True
            await asyncio.sleep(1.0)
        return False

    async def _call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Until there is an answer that means something."""
        deadline = time.monotonic() + _GIVE_UP_S
        answer = "none"
        while time.monotonic() < deadline:
            try:
                response = await self.http.request(method, path, **options)
            except httpx2.TransportError as error:
                answer = f"{type(error).__name__}: {error}"
            else:
                ours = response.headers.get("content-type", "").startswith("application/problem+json")
                if response.status_code not in _TEMPORARY or (response.status_code == 404 and ours):
                    return response
                answer = f"{response.status_code} {response.text[:300]}"
            self.repeats += 1
            await asyncio.sleep(_AGAIN_S)
        raise AssertionError(f"{method} {path}: no answer within {_GIVE_UP_S:g} s; the last was {answer}")


def _once() -> Mapping[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}
