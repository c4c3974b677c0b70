"""Server-sent events: bytes on the wire, and an answer that notices a client that left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import anyio
import orjson
from fastapi import Header, Query
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Scope, Send

from thornback.errors import InvalidInput

MEDIA_TYPE = "text/event-stream"
CONTENT: dict[str, Any] = {  # as FastAPI describes its own streams (OpenAPI 3.2, 4.14.4)
    MEDIA_TYPE: {
        "itemSchema": {
            "type": "object",
            "properties": {
                "event": {"type": "string"},
                "data": {"type": "string", "contentMediaType": "application/json"},
                "id": {"type": "string"},
                "retry": {"type": "integer", "minimum": 0},
            },
        }
    }
}
RETRY_MS = 2000  # a browser comes back after this time; a restarted replica is there by then
HEARTBEAT = format_sse_event(comment="still here")
MAX_EVENT_ID = 2**63 - 1


class LiveResponse(StreamingResponse):
    """A body that grows. It also waits for the client to leave, so that an idle stream ends at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the body ends or the client leaves."""
        async with anyio.create_task_group() as group:

            async def stream() -> None:
                await self.stream_response(send)
                group.cancel_scope.cancel()

            group.start_soon(stream)
            await self.listen_for_disconnect(receive)
            group.cancel_scope.cancel()


class EventStreamResponse(LiveResponse):
    """A `LiveResponse` of server-sent events."""

    media_type = MEDIA_TYPE

    def __init__(self, content: Any) -> None:
        # X-Accel-Buffering: nginx would hold events back until its buffer is full.
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def encode(event: str, data: Mapping[str, Any], *, id: int | None = None) -> bytes:
    """One event. Without an id it does not move the client's cursor."""
    return format_sse_event(event=event, data_str=orjson.dumps(data).decode(), id=None if id is None else str(id))


def hello() -> bytes:
    """The first bytes: how long to wait before coming back."""
    return format_sse_event(comment="connected", retry=RETRY_MS)


def cursor(
    after: Annotated[
        int | None, Query(ge=0, le=MAX_EVENT_ID, description="The last event that the client has.")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The same; browsers send it and it wins.")
    ] = None,
) -> int | None:
    """Where the client stopped, None where it did not say."""
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdecimal()) or int(last_event_id) > MAX_EVENT_ID:
        raise InvalidInput.field("Last-Event-ID", "must be the id of an event, a whole number")
    return int(last_event_id)
