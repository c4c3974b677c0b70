"""A stream of server-sent events that outlives the connection, the replica and the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx2

from thornback.client.problems import error_of, unreachable
from thornback.client.reconnect import Backoff
from thornback.errors import ThornbackError, Unavailable

# The server breaks its silence every 5 s at the latest; three missed heartbeats are a dead connection.
SILENCE_S = 15.0
CONNECT_S = 5.0

# Messages between the events; they have no id of their own.
STATUS = "training_status"  # what the job has become
_END = "end"  # nothing comes any more
_RESET = "reset"  # the server does not know our last id and begins anew


@dataclass(kw_only=True)
class ReconnectingStream:
    """Iterate over messages: each event once and in order, however often the connection is lost."""

    http: httpx2.Client
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    first_params: Mapping[str, str] = field(default_factory=dict)  # only as long as there is no last id
    last_id: int | None = None  # the newest event that was handed out
    backoff: Backoff = field(default_factory=Backoff)
    on_lost: Callable[[ThornbackError, float], None] = lambda _error, _delay: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _is_complete: bool = False

    def __iter__(self) -> Iterator[httpx2.ServerSentEvent]:
        """Events and status messages as they arrive.

        Raises:
            ServerUnreachable: the server was silent for longer than `backoff.give_up_after_s`.
            ThornbackError: what the server refused (an unknown job, say).
        """
        tries = 0
        heard_at = self.clock()
        while True:
            lost: ThornbackError | None = None
            try:
                for message in self._connect():
                    tries, heard_at = 0, self.clock()
                    if self._is_new(message):
                        yield message
            except httpx2.TransportError as error:
                lost = unreachable(error, str(self.http.base_url))
            except Unavailable as error:
                lost = error
            if self._is_complete:
                return
            if lost is not None and self._is_over(heard_at):
                raise lost
            # Also after an end in order: a replica that shuts down, and all of its clients come back.
            delay = self.backoff.delay(tries)
            tries += 1
            if lost is not None:
                self.on_lost(lost, delay)
            self.sleep(delay)

    def _connect(self) -> Iterator[httpx2.ServerSentEvent]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        params = dict(self.params)
        if self.last_id is None:
            params.update(self.first_params)
        else:
            headers["Last-Event-ID"] = str(self.last_id)
        timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
        with self.http.stream("GET", self.path, params=params, headers=headers, timeout=timeout) as response:
            if response.status_code == HTTPStatus.NO_CONTENT:
                self._is_complete = True  # we have everything there will ever be
                return
            if not response.is_success:
                response.read()
                raise error_of(response)
            yield from httpx2.EventSource(response)

    def _is_new(self, message: httpx2.ServerSentEvent) -> bool:
        """Keep count; False for what the caller has seen, or is not to see."""
        if message.event == STATUS:
            return True
        if message.event == _END:
            self._is_complete = True
            return False
        if message.event == _RESET:
            self.last_id = None
            return False
        if not message.id.isdecimal():
            return False
        number = int(message.id)
        if self.last_id is not None and number <= self.last_id:
            return False
        self.last_id = number
        return True

    def _is_over(self, heard_at: float) -> bool:
        limit = self.backoff.give_up_after_s
        return limit is not None and self.clock() - heard_at >= limit
