"""Users, API keys and tickets, as `client.access`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from thornback.access.roles import Role
from thornback.client.models import ApiKey, NewApiKey, Session, Team, Ticket, User


class Access:
    """Who may do what on the server."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def whoami(self) -> Session:
        """Who you are to the server, and whether it asks."""
        return Session.model_validate(self._call("GET", "/api/v1/session"))

    def users(self) -> list[User]:
        """All users; for admins."""
        return [User.model_validate(item) for item in self._call("GET", "/api/v1/users")["users"]]

    def add_user(self, name: str, *, role: Role = Role.TRAINER, password: str | None = None) -> User:
        """Make a user; for admins. Raises Conflict where the name is taken."""
        body = {"name": name, "role": role.value, "password": password}
        return User.model_validate(self._call("POST", "/api/v1/users", json=body))

    def change_user(
        self, name: str, *, role: Role | None = None, is_active: bool | None = None, password: str | None = None
    ) -> User:
        """Change what is given; for admins. Raises NotFound, and Conflict where no admin would be left."""
        body = {"role": role.value if role else None, "is_active": is_active, "password": password}
        return User.model_validate(self._call("PATCH", f"/api/v1/users/{name}", json=body))

    def keys(self) -> list[ApiKey]:
        """Your keys, an admin sees all; the newest first."""
        return [ApiKey.model_validate(item) for item in self._call("GET", "/api/v1/keys")["keys"]]

    def make_key(
        self,
        label: str,
        *,
        user: str | None = None,
        role: Role | None = None,
        days: float | None = None,
        scopes: Iterable[str] | None = None,
        teams: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> NewApiKey:
        """Make a key; `api_key` of the answer is shown this once.

        `scopes` (e.g. jobs:read), `teams` and `kinds` limit what it is for; None: all that its user may.
        """
        body: dict[str, Any] = {"label": label, "user": user, "role": role.value if role else None, "days": days}
        for name, part in (("scopes", scopes), ("teams", teams), ("kinds", kinds)):
            body[name] = None if part is None else sorted(part)
        return NewApiKey.model_validate(self._call("POST", "/api/v1/keys", json=body))

    def revoke_key(self, key_id: str) -> None:
        """It opens nothing from now on. Raises NotFound."""
        self._call("DELETE", f"/api/v1/keys/{key_id}")

    def teams(self) -> list[Team]:
        """Your teams; an admin sees all."""
        return [Team.model_validate(item) for item in self._call("GET", "/api/v1/teams")["teams"]]

    def add_team(self, id: str, *, name: str = "") -> Team:
        """Make a team; for admins. Raises Conflict where the id is taken."""
        return Team.model_validate(self._call("POST", "/api/v1/teams", json={"id": id, "name": name}))

    def remove_team(self, id: str) -> None:
        """Its jobs stay, for their owners and admins. Raises NotFound."""
        self._call("DELETE", f"/api/v1/teams/{id}")

    def add_member(self, team: str, user: str) -> Team:
        """Let a user see what a team has; for admins. Raises NotFound."""
        return Team.model_validate(self._call("PUT", f"/api/v1/teams/{team}/members/{user}"))

    def remove_member(self, team: str, user: str) -> None:
        """Take a user out of a team; for admins. Raises NotFound for an unknown team."""
        self._call("DELETE", f"/api/v1/teams/{team}/members/{user}")

    def ticket(self, job_id: str | None = None, *, seconds: int = 60) -> Ticket:
        """A permission to read, for a page: `?ticket=` of a stream."""
        return Ticket.model_validate(self._call("POST", "/api/v1/tickets", json={"job_id": job_id, "seconds": seconds}))
