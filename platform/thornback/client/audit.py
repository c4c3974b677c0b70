"""The audit log, as `client.audit`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from thornback.access.audit import AuditEntry, from_json
from thornback.client.download import fetch_file
from thornback.client.models import AuditVerdict

_AUDIT = "/api/v1/audit"


class Audit:
    """Who did what; for admins."""

    def __init__(self, http: httpx2.Client, call: Callable[..., Any]) -> None:
        self._http, self._call = http, call

    def list(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Entries, the newest first; `action` ending in a dot takes all that begin with it."""
        wanted = {"actor": actor, "action": action, "target": target, "before": before, "limit": limit}
        params = {name: value for name, value in wanted.items() if value is not None}
        return [from_json(item) for item in self._call("GET", _AUDIT, params=params)["entries"]]

    def export(self, target: Path) -> Path:
        """Every entry as a line of JSON."""
        return fetch_file(self._http, f"{_AUDIT}.jsonl", target, artifact=None, name="audit.jsonl")

    def verify(self, *, head: str | None = None) -> AuditVerdict:
        """Let the server compute every hash anew; `head` is one that was noted before."""
        params = {} if head is None else {"head": head}
        return AuditVerdict.model_validate(self._call("GET", f"{_AUDIT}/verify", params=params))
