"""The WebSocket of a job: `connected`, `training_status` on every change, `ping` and `pong`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, WebSocket
from starlette.datastructures import QueryParams
from starlette.websockets import WebSocketDisconnect, WebSocketState

from serve_apps.api import views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.flood import MAX_MESSAGE_BYTES, Allowance, holder
from serve_apps.api.follow import Step, follow
from serve_apps.api.hub import HubClosed, Subscription
from serve_apps.api.lease import Lease
from serve_apps.api.principal import CLOSE_POLICY, Caller, Principal
from serve_apps.api.seen import check_sees
from serve_apps.api.sse import MAX_EVENT_ID
from thornback.errors import Forbidden, InvalidInput, JobNotFound, NotSignedIn, ThornbackError, Unavailable
from thornback.jobs.events import EventKind

SEND_S = 20.0  # a client that takes nothing for so long is gone
MAX_MESSAGE_CHARS = 4096

CLOSE_ENDED = 1000
CLOSE_TOO_BIG = 1009
CLOSE_FAILED = 1011
CLOSE_RESTART = 1012
CLOSE_TRY_LATER = 1013
CLOSE_INVALID = 4400
CLOSE_NOT_FOUND = 4404

INCLUDES: Mapping[str, EventKind] = {"metrics": EventKind.METRICS, "log": EventKind.LOG, "item": EventKind.ITEM}

# Without /ws: one application serves it below that path, the other is mounted there.
router = APIRouter()


@router.websocket("/training/{job_id}")
async def training_socket(websocket: WebSocket, context: Context, caller: Caller, job_id: str) -> None:
    """Live status of one job. `?include=metrics,log,item` adds those messages, `?after=` goes on from an event."""
    await websocket.accept()
    client = _Client(websocket)
    try:
        include, after = _options(websocket.query_params)
        job_id = await _known(context, caller, job_id)
        with await context.hub.join(job_id=job_id, after=after, user=holder(caller)) as stream:
            await client.serve(context, job_id, stream, include, Lease(websocket, context, caller))
        await client.close(CLOSE_ENDED, "the job has ended")
    except HubClosed as error:
        await client.close(CLOSE_RESTART, error.message)
    except _Flood as error:
        await client.close(error.code, error.reason)
    except ThornbackError as error:
        await client.refuse(error)
    except WebSocketDisconnect:
        return


class _Flood(Exception):
    """The client sends too much, or too much at once."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class _Client:
    """One connected client."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._sending = asyncio.Lock()  # two tasks send: what happens, and answers to the client's own messages

    async def serve(
        self, context: ApiContext, job_id: str, stream: Subscription, include: frozenset[EventKind], lease: Lease
    ) -> None:
        """Tell the client everything until the job has ended. Raises WebSocketDisconnect when it leaves.

        Raises what `Lease.renew` does once the client may look no more.
        """
        await self._send(
            {"event": "connected", "job_id": job_id, "timestamp": _now(), "message": "Connected to training job"}
            | {"event_id": stream.position, "reset": stream.was_reset}
        )
        telling = asyncio.create_task(self._tell(context, job_id, stream, include, lease))
        answering = asyncio.create_task(self._answer())
        try:
            done, _ = await asyncio.wait({telling, answering}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            telling.cancel()
            answering.cancel()
            await asyncio.gather(telling, answering, return_exceptions=True)

    async def refuse(self, error: ThornbackError) -> None:
        """Say what is wrong, then close with a code that tells whether to come back."""
        code = next((code for kind, code in _CLOSE_CODES if isinstance(error, kind)), CLOSE_FAILED)
        message = "something went wrong on our side" if code == CLOSE_FAILED else error.message
        try:
            await self._send(_error(error.code, message))
        except WebSocketDisconnect:
            return
        await self.close(code, message)

    async def close(self, code: int, reason: str) -> None:
        """Close once; a client that has gone already is no error."""
        if self._websocket.application_state is WebSocketState.CONNECTED:
            try:
                await self._websocket.close(code, reason[:100])
            except (WebSocketDisconnect, RuntimeError):
                return  # the connection went away at the same moment

    async def _tell(
        self, context: ApiContext, job_id: str, stream: Subscription, include: frozenset[EventKind], lease: Lease
    ) -> None:
        shown: dict[str, Any] = {}
        is_last_word = False  # the newest message was a status
        async for step in follow(context, job_id, stream):
            await lease.renew()
            for event in step.events:
                if event.kind in include:
                    await self._send(_MESSAGES[event.kind](event))
                    is_last_word = False
            status = _status(job_id, step)
            is_due = not is_last_word if step.is_end else not step.events  # a heartbeat
            if is_due or _news(status) != _news(shown):
                await self._send(status)
                shown, is_last_word = status, True

    async def _answer(self) -> None:
        allowance = Allowance(time.monotonic)
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            content = message.get("text") or message.get("bytes") or ""
            if len(content) > MAX_MESSAGE_BYTES:
                raise _Flood(CLOSE_TOO_BIG, f"a message may have {MAX_MESSAGE_CHARS} characters")
            if not allowance.take():
                raise _Flood(CLOSE_POLICY, "too many messages; send a ping every few seconds at most")
            await self._send(_reply(content))

    async def _send(self, message: Mapping[str, Any]) -> None:
        text = orjson.dumps(message).decode()
        try:
            async with self._sending, asyncio.timeout(SEND_S):
                await self._websocket.send_text(text)
        except TimeoutError:
            raise WebSocketDisconnect(1006, "the client takes nothing") from None


_CLOSE_CODES: tuple[tuple[type[ThornbackError], int], ...] = (
    (JobNotFound, CLOSE_NOT_FOUND),
    (InvalidInput, CLOSE_INVALID),
    (Unavailable, CLOSE_TRY_LATER),
    (NotSignedIn, CLOSE_POLICY),
    (Forbidden, CLOSE_POLICY),
)
_MESSAGES = {
    EventKind.METRICS: views.metrics_message,
    EventKind.LOG: views.log_message,
    EventKind.ITEM: views.item_message,
}


def _options(query: QueryParams) -> tuple[frozenset[EventKind], int | None]:
    """`include` and the cursor. Raises InvalidInput."""
    names = [name for name in query.get("include", "").split(",") if name]
    for name in names:
        if name not in INCLUDES:
            raise InvalidInput.field("include", f"{name!r} is unknown; use {', '.join(INCLUDES)}")
    after = query.get("after", query.get("last_event_id"))
    if after is None:
        return frozenset(INCLUDES[name] for name in names), None
    if not (after.isascii() and after.isdecimal()) or int(after) > MAX_EVENT_ID:
        raise InvalidInput.field("after", "must be the id of an event, a whole number")
    return frozenset(INCLUDES[name] for name in names), int(after)


async def _known(context: ApiContext, caller: Principal, job_id: str) -> str:
    """The id as the store writes it. Raises JobNotFound."""
    try:
        id = str(UUID(job_id))
    except ValueError:
        raise JobNotFound(job_id[:64]) from None
    check_sees(caller, (await context.read(lambda store: store.job(id))).state)
    return id


def _status(job_id: str, step: Step) -> dict[str, Any]:
    if step.job is not None:
        return views.status_message(step.job, event_id=step.position, now=datetime.now(UTC))
    return {"event": "deleted", "job_id": job_id, "timestamp": _now(), "event_id": step.position}


def _news(status: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name not in ("timestamp", "event_id")}


def _reply(text: str | bytes) -> dict[str, Any]:
    if len(text) > MAX_MESSAGE_CHARS:
        return _error("invalid_message", f"a message may have {MAX_MESSAGE_CHARS} characters")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _error("invalid_message", "a message must be a JSON object")
    if isinstance(message, dict) and message.get("event") == "ping":
        return {"event": "pong", "timestamp": _now()}
    return _error("invalid_message", 'the only message that is understood is {"event": "ping"}')


def _error(code: str, message: str) -> dict[str, Any]:
    return {"event": "error", "code": code, "message": message, "timestamp": _now()}


def _now() -> str:
    return views.wire_time(datetime.now(UTC))
