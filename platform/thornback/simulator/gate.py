"""The way into every endpoint: counts the call, checks the credentials and the limits, and lets faults befall it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from thornback.simulator.faults import REQUEST_FAULTS, Fault
from thornback.simulator.simulator import SeenRequest, Simulator
from thornback.simulator.wire import HangUp, bearer, fal_problem, replicate_problem

Handler = Callable[[Simulator, Request], Awaitable[Response]]

_MINUTE = timedelta(minutes=1)
_CREDIT = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a "
    "burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~{seconds}s."
)


def _page(status: int) -> str:
    """What stands before both providers answers so, and not in JSON."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>nginx</body></html>"


class Limits:
    """How many calls of a kind came within the last minute."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[datetime]] = {}

    def wait_s(self, name: str, now: datetime, *, most: int, apart_s: float = 0.0) -> int:
        """0 where one more may come now, which is then counted; else in how many seconds it may."""
        calls = self._calls.setdefault(name, deque())
        while calls and now - calls[0] >= _MINUTE:
            calls.popleft()
        if len(calls) >= most:
            return max(int((calls[0] + _MINUTE - now).total_seconds()), 1)
        if calls and (left := apart_s - (now - calls[-1]).total_seconds()) > 0:
            return max(round(left), 1)
        calls.append(now)
        return 0


class Gate:
    """The way into one endpoint."""

    def __init__(self, sim: Simulator, limits: Limits, operation: str, handler: Handler, *, open: bool) -> None:
        self._sim = sim
        self._limits = limits
        self._operation = operation
        self._handler = handler
        self._open = open

    async def answer(self, request: Request) -> Response:
        """Answer a call."""
        if not self._sim.url:
            self._sim.url = str(request.base_url).rstrip("/")
        await request.body()  # a call that is dropped was sent to its end
        fault = self._sim.faults.take(self._operation, REQUEST_FAULTS)
        self._note(request, fault)
        early = await self._before(fault)
        if early is not None:
            return early
        refused = self._refusal(request) or self._throttled(fault)
        if refused is not None:
            return refused
        return await self._after(fault, await self._handler(self._sim, request))

    def _note(self, request: Request, fault: Fault | None) -> None:
        self._sim.requests.append(
            SeenRequest(
                operation=self._operation,
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                at=self._sim.clock.now(),
                fault=fault.kind if fault else None,
            )
        )

    async def _before(self, fault: Fault | None) -> Response | None:
        match fault:
            case None:
                return None
            case Fault(kind="drop"):
                return HangUp()
            case Fault(kind="delay"):
                await asyncio.sleep(fault.seconds)
            case Fault(kind="throttle"):
                return self._too_many("Request was throttled. Your rate limit resets in ~30s.", fault.retry_after)
            case Fault(kind="error"):
                return HTMLResponse(_page(fault.status), fault.status)
            case Fault(kind="not_found"):
                return self.problem(404, "The requested resource could not be found.", "Request not found")
            case _:
                pass
        return None

    async def _after(self, fault: Fault | None, response: Response) -> Response:
        match fault:
            case Fault(kind="lost_answer"):
                return HangUp()
            case Fault(kind="slow_answer"):
                await asyncio.sleep(fault.seconds)
            case Fault(kind="invalid_json"):
                return Response(bytes(response.body)[: len(response.body) // 2], 200, media_type="application/json")
            case _:
                pass
        return response

    def _refusal(self, request: Request) -> Response | None:
        if self._open:
            return None
        if self._is_fal:
            given = bearer(request, "key", "bearer")
            if given == self._sim.scenario.fal_key:
                return None
            words = "Authentication is required to access this application."
            return fal_problem(401, words if given is None else "Cannot access application. Invalid credentials.")
        if bearer(request, "bearer", "token") == self._sim.scenario.replicate_token:
            return None
        words = "You did not pass a valid authentication token"
        return replicate_problem(401, words, title="Unauthenticated")

    def _throttled(self, fault: Fault | None) -> Response | None:
        if self._open:
            return None
        creates = self._operation.endswith(".create")
        scenario, now = self._sim.scenario, self._sim.clock.now()
        if fault is not None and fault.kind == "low_credit":
            if wait := self._limits.wait_s("credit", now, most=6, apart_s=1.0):
                return self._too_many(_CREDIT.format(seconds=wait), fault.retry_after, wait=wait)
        elif not self._is_fal:  # fal queues whatever comes
            most = scenario.creates_per_minute if creates else scenario.calls_per_minute
            if wait := self._limits.wait_s("creates" if creates else "calls", now, most=most):
                words = f"Request was throttled. Your rate limit resets in ~{wait}s."
                return self._too_many(words, None, wait=wait)
        return None

    def _too_many(self, words: str, retry_after: int | None, *, wait: int = 30) -> Response:
        response = self.problem(429, words, "Too many requests", retry_after=wait)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    @property
    def _is_fal(self) -> bool:
        return self._operation.startswith("fal.")

    def problem(self, status: int, replicate: str, fal: str, **more: Any) -> Response:
        """An error in the provider's form."""
        return fal_problem(status, fal) if self._is_fal else replicate_problem(status, replicate, **more)


class Gates:
    """Makes routes whose endpoints share limits."""

    def __init__(self, sim: Simulator) -> None:
        self.operations: set[str] = set()
        self._sim = sim
        self._limits = Limits()

    def route(self, method: str, path: str, operation: str, handler: Handler, *, open: bool = False) -> Route:
        """One route; `open` asks for no credentials and knows no limits."""
        self.operations.add(operation)
        gate = Gate(self._sim, self._limits, operation, handler, open=open)
        return Route(path, gate.answer, methods=[method])
