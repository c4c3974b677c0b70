"""Which node runs in a home: a record for people and programs, and a lock that cannot go stale.

The lock is what counts. The kernel gives it back when its process dies, however it died, so a record
without a lock belongs to a node that crashed.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from thornback.errors import Conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """What others need to find the node."""

    node_id: str  # the mark of its processes
    pid: int  # 0 where it lives in a cluster and has no process of its own
    url: str
    dashboard_url: str | None = None
    ray_address: str | None = None
    session_dir: str | None = None  # Ray's own logs are in its `logs`
    log: str
    mode: Literal["local", "connected"]
    ready: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class NodeRunning(Conflict):
    """A node runs in this home already."""

    code = "node_running"


class NodeFile:
    """`node.json` and `node.lock` in a home. Nothing is made before `acquire`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock_fd: int | None = None

    @property
    def path(self) -> Path:
        """The record."""
        return self._home / "node.json"

    def read(self) -> NodeRecord | None:
        """The record as last written, also that of a node that crashed; None where there is none."""
        try:
            return NodeRecord(**json.loads(self.path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            # A record that another version wrote, or a half of one, tells us nothing that we could use.
            return None

    def write(self, record: NodeRecord) -> NodeRecord:
        """Replace the record; readers see the old or the new one."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(record.to_dict(), indent=2))
        partial.replace(self.path)
        return record

    def update(self, **changes: Any) -> NodeRecord:
        """Change some fields of the present record."""
        record = self.read()
        if record is None:
            raise Conflict(f"there is no record in {self.path}")
        return self.write(replace(record, **changes))

    def clear(self) -> None:
        """Remove the record."""
        self.path.unlink(missing_ok=True)

    def acquire(self) -> None:
        """Take the lock for the life of this process.

        Raises:
            NodeRunning: another process holds it.
        """
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._home / "node.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise self._already_running() from None
        self._lock_fd = fd

    def release(self) -> None:
        """Give the lock back; without one nothing happens."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def is_locked(self) -> bool:
        """True while a node process lives."""
        try:
            fd = os.open(self._home / "node.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(fd)

    def _already_running(self) -> NodeRunning:
        record = self.read()
        where = f" at {record.url} (process {record.pid})" if record else ""
        return NodeRunning(
            f"a node runs in {self._home} already{where}; stop it with `thornback down`, or use another THORNBACK_HOME",
            home=str(self._home),
            url=record.url if record else None,
            pid=record.pid if record else None,
        )
