"""How much one client may send over a stream, and how many streams it may hold."""

from __future__ import annotations

from collections.abc import Callable

from serve_apps.api.principal import Principal

MESSAGES_AT_ONCE = 50
MESSAGES_PER_S = 10.0  # a client has nothing to say but `ping`
MAX_MESSAGE_BYTES = 1 << 16  # a longer message is no mistake


class Allowance:
    """A bucket of messages that fills by itself. Pure: it is told the time."""

    def __init__(
        self, clock: Callable[[], float], *, at_once: int = MESSAGES_AT_ONCE, per_s: float = MESSAGES_PER_S
    ) -> None:
        self._clock, self._most, self._per_s = clock, float(at_once), per_s
        self._left, self._at = self._most, clock()

    def take(self) -> bool:
        """True where one more message is allowed."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def holder(principal: Principal) -> str | None:
    """Whose streams are counted together; None where nobody says who they are, on loopback."""
    return None if principal.via == "open" else principal.user
