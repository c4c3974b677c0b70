"""Who has webhooks and what their owners may see, as the sender knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import sqlalchemy as sa

from thornback.access.roles import Role
from thornback.access.sight import Sight
from thornback.jobs.subscriptions import Webhook
from thornback.settings import Settings
from thornback.store.access import AccessReader
from thornback.store.teams import read_memberships
from thornback.store.webhooks import WebhookReader

Sights = Callable[[], Mapping[str, Sight | None]]
"""Of each user who may see anything; None: everything."""


class Directory:
    """Webhooks by id; `refresh` blocks."""

    def __init__(self, reader: WebhookReader, sights: Sights | None) -> None:
        """`sights`: None where there is no access control, and everybody sees everything."""
        self._reader, self._sights = reader, sights
        self._webhooks: Mapping[str, Webhook] = {}
        self._seen: Mapping[str, Sight | None] = {}

    def __iter__(self) -> Iterator[Webhook]:
        return iter(self._webhooks.values())

    def get(self, id: str) -> Webhook | None:
        """None for one that is here no longer."""
        return self._webhooks.get(id)

    def refresh(self) -> None:
        """Read the webhooks."""
        self._webhooks = {webhook.id: webhook for webhook in self._reader.webhooks()}

    def refresh_sights(self) -> None:
        """Read what their owners may see."""
        if self._sights is not None:
            self._seen = self._sights()

    def watchers(self) -> Iterator[tuple[Webhook, Sight | None]]:
        """Webhooks whose owners may still see something, and what."""
        for webhook in self:
            if self._sights is None:
                yield webhook, None
            elif webhook.user in self._seen:
                yield webhook, self._seen[webhook.user]


def open_sights(settings: Settings, engine: sa.Engine) -> Sights | None:
    """What the users in the database may see now; those who are let in no more see nothing."""
    if not settings.has_access_control:
        return None
    access = AccessReader(engine)

    def read() -> Mapping[str, Sight | None]:
        with engine.connect() as connection:
            teams = read_memberships(connection)
        return {
            user.name: None
            if user.role is Role.ADMIN
            else Sight(user=user.name, teams=frozenset(teams.get(user.name, ())), shared=settings.shared_jobs)
            for user in access.users()
            if user.is_active
        }

    return read
