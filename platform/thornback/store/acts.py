"""What the audit log says of the changes that the writer makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

from thornback.access.audit import Act
from thornback.access.changes import (
    AddKey,
    AddMember,
    AddTeam,
    AddUser,
    Change,
    ChangeUser,
    CloseSession,
    LinkAccount,
    OpenSession,
    RemoveMember,
    RemoveTeam,
    RevokeKey,
)
from thornback.jobs.events import EventKind, JobEvent


@singledispatch
def act_of_change(change: Change, by: str) -> Act | None:
    """None for what is nobody's doing, such as the note that a key was used."""
    return None


@act_of_change.register
def _act(change: Act, by: str) -> Act | None:
    return change


@act_of_change.register
def _add_user(change: AddUser, by: str) -> Act | None:
    detail = {"role": change.role.value, "password": change.password_hash is not None}
    return Act(actor=by, action="user.add", target=change.name, at=change.at, detail=detail)


@act_of_change.register
def _change_user(change: ChangeUser, by: str) -> Act | None:
    detail: dict[str, Any] = {}
    if change.role is not None:
        detail["role"] = change.role.value
    if change.is_active is not None:
        detail["is_active"] = change.is_active
    if change.password_hash is not None:
        detail["password"] = True
    return Act(actor=by, action="user.change", target=change.name, at=change.at, detail=detail)


@act_of_change.register
def _add_key(change: AddKey, by: str) -> Act | None:
    detail = {
        "user": change.user,
        "label": change.label,
        "role": None if change.role is None else change.role.value,
        **({} if change.limits is None else change.limits.as_json()),
        "expires_at": change.expires_at,
    }
    return Act(actor=by, action="key.add", target=change.id, at=change.at, detail=detail)


@act_of_change.register
def _revoke_key(change: RevokeKey, by: str) -> Act | None:
    return Act(actor=by, action="key.revoke", target=change.id, at=change.at)


@act_of_change.register
def _open_session(change: OpenSession, by: str) -> Act | None:
    return Act(actor=change.user, action="session.open", target=change.id, at=change.at, detail=dict(change.origin))


@act_of_change.register
def _close_session(change: CloseSession, by: str) -> Act | None:
    return Act(actor=by, action="session.close", target=change.id, at=change.at)


@act_of_change.register
def _add_team(change: AddTeam, by: str) -> Act | None:
    return Act(actor=by, action="team.add", target=change.id, at=change.at, detail={"name": change.name})


@act_of_change.register
def _remove_team(change: RemoveTeam, by: str) -> Act | None:
    return Act(actor=by, action="team.remove", target=change.id, at=change.at)


@act_of_change.register
def _add_member(change: AddMember, by: str) -> Act | None:
    return Act(actor=by, action="team.add_member", target=change.team, at=change.at, detail={"user": change.user})


@act_of_change.register
def _remove_member(change: RemoveMember, by: str) -> Act | None:
    return Act(actor=by, action="team.remove_member", target=change.team, at=change.at, detail={"user": change.user})


@act_of_change.register
def _link_account(change: LinkAccount, by: str) -> Act | None:
    detail = {"issuer": change.issuer, "subject": change.subject, "email": change.email}
    return Act(actor=by, action="account.link", target=change.user, at=change.at, detail=detail)


def act_of_event(event: JobEvent) -> Act:
    """What an event of one of the kinds AUDITED says."""
    action, detail = _EVENTS[event.kind](event.data)
    actor = event.data.get("user") or event.data.get("by") or ""
    target = "queue" if event.kind is EventKind.QUEUE else event.job_id
    return Act(actor=str(actor), action=action, target=target, at=event.at, detail=detail)


_Said = tuple[str, dict[str, Any]]


def _created(data: Mapping[str, Any]) -> _Said:
    spec = data["spec"]
    named = {name: spec.get(name) for name in ("job_name", "kind", "backend", "priority")}
    made = {name: data.get(name) for name in ("team", "retry_of", "parent_id")}
    return "job.create", {name: value for name, value in (named | made).items() if value is not None}


def _cancelled(data: Mapping[str, Any]) -> _Said:
    return "job.delete" if data["delete"] else "job.cancel", {}


def _prioritized(data: Mapping[str, Any]) -> _Said:
    return "job.prioritize", {"priority": data["priority"]}


def _asked(data: Mapping[str, Any]) -> _Said:
    rest = {name: value for name, value in data.items() if name not in ("what", "user")}
    return f"job.{data['what']}", rest


def _queue(data: Mapping[str, Any]) -> _Said:
    return "queue.pause" if data["paused"] else "queue.resume", {"reason": data["reason"]} if data["paused"] else {}


_EVENTS: Mapping[EventKind, Callable[[Mapping[str, Any]], _Said]] = {
    EventKind.CREATED: _created,
    EventKind.CANCEL_REQUESTED: _cancelled,
    EventKind.PRIORITIZED: _prioritized,
    EventKind.ASKED: _asked,
    EventKind.QUEUE: _queue,
}
AUDITED = frozenset(_EVENTS)
