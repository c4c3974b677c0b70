"""Whoever opened a stream may follow it for as long as they may look: asked again with each heartbeat."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.requests import HTTPConnection

from serve_apps.api.context import ApiContext
from serve_apps.api.principal import Principal, look_again
from thornback.errors import Unavailable


class Lease:
    """Who follows a stream, and since when that is known."""

    def __init__(
        self,
        connection: HTTPConnection,
        context: ApiContext,
        caller: Principal,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._context, self._clock = connection, context, clock
        self._asked_at = clock()
        self.caller = caller

    async def renew(self) -> Principal:
        """Who it is now; the database is asked once in a heartbeat.

        Raises:
            NotSignedIn: the key, the session or the user has ended.
            Forbidden: the role is too small by now.
            JobNotFound: the stream's job is none of theirs any more.
        """
        if self._clock() - self._asked_at < self._context.settings.heartbeat_s:
            return self.caller
        try:
            self.caller = await look_again(self._context, self._connection, self.caller)
        except Unavailable:
            return self.caller  # the stream itself notices a database that stays away
        self._asked_at = self._clock()
        return self.caller
