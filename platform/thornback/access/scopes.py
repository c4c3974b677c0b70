"""What an API key is for, where it is not for all that its user may. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from thornback.by_name import ByName


class Scope(StrEnum):
    """A part of the API; what may write there may read there too."""

    JOBS_READ = "jobs:read"  # with their logs, metrics, files and streams
    JOBS_WRITE = "jobs:write"
    DATA_READ = "data:read"  # uploads and image sets
    DATA_WRITE = "data:write"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    WEBHOOKS_READ = "webhooks:read"  # what is sent to others
    WEBHOOKS_WRITE = "webhooks:write"
    REPORTS_READ = "reports:read"  # reports, alerts, quotas, providers, health, figures for monitoring
    ADMIN = "admin"  # what only admins may

    @property
    def covers(self) -> frozenset[Scope]:
        """What a key with this scope may."""
        area, _, action = self.value.partition(":")
        return frozenset({self, Scope(f"{area}:read")}) if action == "write" else frozenset({self})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(ByName):
    """A key is for no more than this; what is None is not limited."""

    scopes: frozenset[Scope] | None = None
    teams: frozenset[str] | None = None  # only what belongs to them, not even the user's own
    kinds: frozenset[str] | None = None  # of jobs that it starts

    def allows(self, needed: Scope) -> bool:
        """Whether a route with this scope is open."""
        if self.scopes is None:
            # Users, webhooks and the like belong to no team.
            return self.teams is None or not needed.value.startswith(("webhooks:", "admin"))
        return any(needed in scope.covers for scope in self.scopes)

    @property
    def is_empty(self) -> bool:
        """True where nothing is limited."""
        return self.scopes is None and self.teams is None and self.kinds is None

    def as_json(self) -> dict[str, list[str]]:
        """As it is kept."""
        parts = {"scopes": self.scopes, "teams": self.teams, "kinds": self.kinds}
        return {name: sorted(part) for name, part in parts.items() if part is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Self | None:
        """What `as_json` wrote; scopes that this release does not know open nothing."""
        if data is None:
            return None
        known = frozenset(Scope)
        scopes = data.get("scopes")
        return cls(
            scopes=None if scopes is None else frozenset(scope for scope in known if scope.value in scopes),
            teams=frozenset(data["teams"]) if "teams" in data else None,
            kinds=frozenset(data["kinds"]) if "kinds" in data else None,
        )
