"""When a run had better leave its machines with a checkpoint and begin again elsewhere.

Two things move it: a machine of its own that is being drained (a spot machine that is taken back), and
room for an elastic run that has fewer workers than it may have. Ray Train does both by itself, but it
takes the workers down where they are, and what they did since the last checkpoint is done again. Here
the run is asked first, as it is when somebody cancels: a checkpoint, an end, and another start.

Pure: looks and times are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf

LONGEST_PATIENCE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The cluster as one run sees it."""

    workers: Mapping[str, int] = field(default_factory=dict)  # of this run, by node id; none before they have started
    # Nodes that take no more work, and when they end: seconds since 1970, None where that is not known.
    draining: Mapping[str, float | None] = field(default_factory=dict)
    room: int = 0  # more workers for which there is room on the other nodes


class Mover:
    """Says when to leave. Remembers between the starts of a run how long it has to wait before it grows."""

    def __init__(self, *, most: int, is_elastic: bool, patience_s: float) -> None:
        """`patience_s`: room has to be free for so long before a run is interrupted for it."""
        self._most = most
        self._is_elastic = is_elastic
        self._patience_s = patience_s
        self._room_since: float | None = None
        self._grew_from: int | None = None

    def see(self, look: Look, *, now: float) -> str | None:
        """Why to leave now, in words; None: stay.

        Args:
            look: at this moment.
            now: seconds of a clock that only goes forward.
        """
        count = sum(look.workers.values())
        if not count:
            return None
        if leaving := [node for node in look.workers if node in look.draining]:
            return drained(leaving, look)
        if not self._is_elastic or count >= self._most:
            return None
        self._learn(count)
        if not look.room:
            self._room_since = None
            return None
        if self._room_since is None:
            self._room_since = now
        if now - self._room_since < self._patience_s:
            return None
        self._room_since, self._grew_from = None, count
        wanted = min(self._most, count + look.room)
        return f"there is room for {wanted} workers instead of {count}"

    def _learn(self, count: int) -> None:
        """Where leaving did not bring more workers, somebody else took the room: be slower to try again."""
        if self._grew_from is not None and count <= self._grew_from:
            self._patience_s = min(self._patience_s * 2, LONGEST_PATIENCE_S)
        self._grew_from = None


def drained(nodes: list[str], look: Look) -> str:
    """The sentence about machines that go away."""
    what = f"node {nodes[0][:8]} is" if len(nodes) == 1 else f"nodes {', '.join(node[:8] for node in nodes)} are"
    end = min((look.draining[node] or inf for node in nodes), default=inf)
    until = "" if end == inf else f" and will be gone at {datetime.fromtimestamp(end, UTC):%H:%M:%S} UTC"
    return f"{what} being drained{until}"
