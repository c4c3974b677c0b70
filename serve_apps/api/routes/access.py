"""Signing in and out, users, API keys, and tickets for streams."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.principal import COOKIE, Caller, Principal, is_over_tls
from serve_apps.api.seen import check_sees
from thornback.access.audit import Act
from thornback.access.changes import (
    AddKey,
    AddUser,
    ChangeUser,
    CloseSession,
    Key,
    OpenSession,
    RevokeKey,
    User,
    check_name,
)
from thornback.access.passwords import hash_password, matches
from thornback.access.roles import Role
from thornback.access.scopes import Limits, Scope
from thornback.access.tickets import Ticket, write_ticket
from thornback.access.tokens import KEY, SESSION, new_token, read_token
from thornback.errors import Forbidden, InvalidInput, NotSignedIn, TooManyTries
from thornback.jobs.spec import SPECS

router = APIRouter(prefix="/api/v1", tags=["access"], dependencies=[Depends(json_only)])

LONGEST_TICKET_S = 86_400


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SignIn(_In):
    """Either a name and its password, or an API key."""

    name: Annotated[str | None, Field(max_length=100)] = None
    password: Annotated[str | None, Field(max_length=1000, repr=False)] = None
    api_key: Annotated[str | None, Field(max_length=200, repr=False)] = None


class SessionOut(BaseModel):
    """Who asks."""

    access_control: bool = Field(description="False: whoever reaches this server may do everything.")
    user: str | None = Field(description="None: nobody is signed in.")
    role: Role | None
    via: str | None = Field(description="open, key or session")
    teams: list[str] = Field(default=[], description="Whose jobs and models you see beside your own.")
    openid: str | None = Field(default=None, description="The OpenID provider where people can sign in.")


class TicketIn(_In):
    """A ticket to be made."""

    job_id: str | None = Field(default=None, description="All it may read; left out: whatever you may read.")
    seconds: Annotated[int, Field(ge=1, le=LONGEST_TICKET_S)] = 60


class TicketOut(BaseModel):
    """`?ticket=` of a stream."""

    ticket: str
    expires_at: datetime


class UserIn(_In):
    """A user to be made."""

    name: str
    role: Role = Role.TRAINER
    password: Annotated[str | None, Field(repr=False)] = None


class UserChange(_In):
    """What is left out stays."""

    role: Role | None = None
    is_active: bool | None = None
    password: Annotated[str | None, Field(repr=False)] = None


class UserOut(BaseModel):
    """A user."""

    name: str
    role: Role
    is_active: bool
    has_password: bool
    created_at: datetime
    teams: list[str]


class UserList(BaseModel):
    """All users."""

    users: list[UserOut]


class KeyIn(_In):
    """An API key to be made."""

    label: Annotated[str, Field(min_length=1, max_length=100)]
    user: str | None = Field(default=None, description="Left out: yourself; for others, admins only.")
    role: Role | None = Field(default=None, description="At most this; left out: all that the user may.")
    scopes: list[Scope] | None = Field(default=None, min_length=1, description="Only these parts; left out: all.")
    teams: list[str] | None = Field(
        default=None, min_length=1, max_length=50, description="Only what belongs to these teams; left out: all."
    )
    kinds: list[str] | None = Field(
        default=None, min_length=1, max_length=50, description="Starts only these kinds of jobs; left out: all."
    )
    days: Annotated[float | None, Field(gt=0, le=3650, description="How long it holds; left out: until revoked.")] = (
        None
    )


class KeyOut(BaseModel):
    """An API key without its secret."""

    id: str
    user: str
    label: str
    role: Role | None
    scopes: list[Scope] | None = Field(description="null: all, as for teams and kinds")
    teams: list[str] | None
    kinds: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None


class NewKeyOut(KeyOut):
    """A key with its secret, which is shown this once."""

    api_key: str


class KeyList(BaseModel):
    """Keys, the newest first."""

    keys: list[KeyOut]


@router.get("/session", summary="Who am I?")
async def get_session(context: Context, caller: Caller) -> SessionOut:
    """Whether this server asks who somebody is, and who you are to it."""
    principal: Principal | None = caller
    return SessionOut(
        access_control=context.settings.has_access_control,
        user=principal.user if principal else None,
        role=principal.role if principal else None,
        via=principal.via if principal else None,
        teams=sorted(principal.teams) if principal else [],
        openid=context.settings.openid_name,
    )


@router.post("/session", status_code=201, summary="Sign in")
async def sign_in(context: Context, request: Request, response: Response, body: SignIn) -> SessionOut:
    """Begin a session in this browser: a cookie that scripts cannot read and other sites cannot use."""
    if not context.settings.has_access_control:
        raise InvalidInput.field("body", "there is no access control here: nobody has to sign in")
    user = await _known(context, request, body)
    return await begin_session(context, request, response, user, via="key" if body.api_key else "password")


async def begin_session(
    context: ApiContext, request: Request, response: Response, user: User, *, via: str
) -> SessionOut:
    """Let a browser be somebody from now on."""
    now, token = datetime.now(UTC), new_token(SESSION)
    length = timedelta(days=context.settings.session_days)
    opened = OpenSession(
        id=token.id,
        user=user.name,
        digest=token.digest,
        at=now,
        expires_at=now + length,
        origin={"via": via, "address": _address(request)},
    )
    await context.recorder.administer(opened)
    response.set_cookie(
        COOKIE,
        token.text,
        max_age=int(length.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_over_tls(request, context.settings),
        path="/",
    )
    return SessionOut(
        access_control=True,
        user=user.name,
        role=user.role,
        via="session",
        teams=list(user.teams),
        openid=context.settings.openid_name,
    )


@router.delete("/session", status_code=204, summary="Sign out")
async def sign_out(context: Context, request: Request, response: Response) -> None:
    """End the session of this browser."""
    token = read_token(request.cookies.get(COOKIE, ""))
    if token is not None and token.kind == SESSION:
        found = await context.read(lambda _: context.access.session(token.id))
        if found is not None and token.matches(found[0]):
            await context.recorder.administer(CloseSession(id=token.id, at=datetime.now(UTC)), by=found[2].name)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


@router.post("/tickets", status_code=201, summary="A ticket for a stream")
async def make_ticket(context: Context, caller: Caller, body: TicketIn) -> TicketOut:
    """A short-lived permission to read, for addresses that cannot carry a key: `wss://…?ticket=…`."""
    if caller.via == "ticket":
        raise Forbidden("a ticket cannot make tickets")
    if caller.limits is not None and body.job_id is None:
        raise Forbidden("an API key with limits makes tickets for one job only; name it as job_id")
    if body.job_id is not None:
        job_id = body.job_id
        check_sees(caller, (await context.read(lambda store: store.job(job_id))).state)
    expires = (datetime.now(UTC) + timedelta(seconds=body.seconds)).replace(microsecond=0) + timedelta(seconds=1)
    ticket = Ticket(user=caller.user, job_id=body.job_id, expires_at=expires)
    return TicketOut(ticket=write_ticket(ticket, context.ticket_secret), expires_at=expires)


@router.get("/users", summary="Users")
async def list_users(context: Context) -> UserList:
    """Everybody who can sign in."""
    users = await context.read(lambda _: context.access.users())
    return UserList(users=[_user_out(user) for user in users])


@router.post("/users", status_code=201, summary="Add a user")
async def add_user(context: Context, caller: Caller, body: UserIn) -> UserOut:
    """Somebody who can sign in: with a password, or with the keys that are made for them."""
    name = check_name(body.name)
    kept = await _hashed(body.password)
    await context.recorder.administer(
        AddUser(name=name, role=body.role, password_hash=kept, at=datetime.now(UTC)), by=caller.user
    )
    return await _user_now(context, name)


@router.patch("/users/{name}", summary="Change a user")
async def change_user(context: Context, caller: Caller, name: str, body: UserChange) -> UserOut:
    """Another role or password; `is_active: false` ends all sessions, and no key works any more."""
    change = ChangeUser(
        name=name,
        role=body.role,
        is_active=body.is_active,
        password_hash=await _hashed(body.password),
        at=datetime.now(UTC),
    )
    await context.recorder.administer(change, by=caller.user)
    return await _user_now(context, name)


@router.get("/keys", summary="API keys")
async def list_keys(context: Context, caller: Caller) -> KeyList:
    """Your own; an admin sees all."""
    mine = None if caller.is_admin else caller.user
    keys = await context.read(lambda _: context.access.keys(mine))
    return KeyList(keys=[_key_out(key) for key in keys])


@router.post("/keys", status_code=201, summary="Make an API key")
async def make_key(context: Context, caller: Caller, body: KeyIn) -> NewKeyOut:
    """The key is in this answer and nowhere else."""
    if not context.settings.has_access_control:
        raise InvalidInput.field("body", "there is no access control here (THORNBACK_ACCESS): keys open nothing")
    user = body.user or caller.user
    if user != caller.user and not caller.is_admin:
        raise Forbidden("only an admin makes keys for others")
    role = body.role
    if caller.limit is not None:  # a key for less cannot make one for more
        role = caller.limit.at_most(role)
    limits = await _limits(context, caller, user, body)
    now, token = datetime.now(UTC), new_token(KEY)
    expires_at = None if body.days is None else now + timedelta(days=body.days)
    made = AddKey(
        id=token.id,
        user=user,
        digest=token.digest,
        label=body.label,
        role=role,
        limits=limits,
        at=now,
        expires_at=expires_at,
    )
    await context.recorder.administer(made, by=caller.user)
    kept = Key(
        id=token.id,
        user=user,
        label=body.label,
        role=role,
        limits=limits,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        used_at=None,
    )
    return NewKeyOut(**_key_out(kept).model_dump(), api_key=token.text)


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(context: Context, caller: Caller, key_id: str) -> None:
    """It opens nothing from now on."""
    found = await context.read(lambda _: context.access.key(key_id))
    if found is not None and found[0].user != caller.user and not caller.is_admin:
        raise Forbidden("only an admin revokes the keys of others")
    await context.recorder.administer(RevokeKey(id=key_id, at=datetime.now(UTC)), by=caller.user)


async def _known(context: ApiContext, request: HTTPConnection, body: SignIn) -> User:
    """Raises NotSignedIn; TooManyTries after too many failures."""
    now = datetime.now(UTC)
    address = _address(request)
    tries = [("address", address), ("name", (body.name or "").strip().lower())]
    wait = max(context.sign_ins.wait(who, now=now) for who in tries)
    if wait:
        seconds = int(wait.total_seconds()) + 1
        raise TooManyTries(f"too many failed tries; try again in {seconds} s", retry_after_s=seconds)
    user = await _by_api_key(context, body.api_key) if body.api_key else await _by_password(context, body)
    if user is None:
        for who in tries:
            context.sign_ins.failed(who, now=now)
        await note_refusal(context, request, name=tries[1][1] or "-", via="key" if body.api_key else "password")
        raise NotSignedIn("the API key is wrong" if body.api_key else "the name or the password is wrong")
    for who in tries:
        context.sign_ins.succeeded(who)
    return user


async def note_refusal(
    context: ApiContext, request: HTTPConnection, *, name: str, via: str, why: str | None = None
) -> None:
    """Write down that somebody was not let in."""
    detail = {"via": via, "address": _address(request)} | ({} if why is None else {"why": why})
    act = Act(actor=name, action="session.refused", target=name, at=datetime.now(UTC), detail=detail)
    await context.recorder.administer(act)


def _address(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""


async def _by_password(context: ApiContext, body: SignIn) -> User | None:
    name = (body.name or "").strip().lower()
    found = await context.read(lambda _: context.access.user(name))
    kept = found[1] if found is not None and found[0].is_active else None
    is_right = await anyio.to_thread.run_sync(matches, body.password or "", kept)
    return found[0] if found is not None and is_right else None


async def _by_api_key(context: ApiContext, text: str) -> User | None:
    token = read_token(text.strip())
    found = None if token is None else await context.read(lambda _: context.access.key(token.id))
    if token is None or found is None or not token.matches(found[1]):
        return None
    key, _, user = found
    ended = key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= datetime.now(UTC))
    # A session has all rights of its user: a key for less must not become one.
    is_less = key.role is not None or key.limits is not None
    return None if ended or not user.is_active or is_less else user


async def _limits(context: ApiContext, caller: Principal, user: str, body: KeyIn) -> Limits | None:
    """Raises InvalidInput for teams that the user is not in, and for kinds that there are not."""
    found = Limits(
        scopes=None if body.scopes is None else frozenset(body.scopes),
        teams=None if body.teams is None else frozenset(body.teams),
        kinds=None if body.kinds is None else frozenset(body.kinds),
    )
    there_are = sorted({kind for kind, _ in SPECS})
    unknown = (found.kinds or frozenset()) - set(there_are)
    if unknown:
        raise InvalidInput.field(
            "kinds", f"there is no kind {', '.join(sorted(unknown))}; there are {', '.join(there_are)}"
        )
    if found.teams:
        holder = await context.read(lambda _: context.access.user(user))
        is_admin = holder is not None and holder[0].role is Role.ADMIN
        known = {team.id for team in await context.read(lambda _: context.access.teams())} if is_admin else set()
        strange = found.teams - known - set(holder[0].teams if holder is not None else ())
        if strange:
            raise InvalidInput.field("teams", f"{user} is in no team {', '.join(sorted(strange))}")
    return None if found.is_empty else found


async def _hashed(password: str | None) -> str | None:
    """Takes tens of milliseconds of a core, on purpose."""
    return None if password is None else await anyio.to_thread.run_sync(hash_password, password)


async def _user_now(context: ApiContext, name: str) -> UserOut:
    found = await context.read(lambda _: context.access.user(name))
    assert found is not None  # noqa: S101 - it was written a moment ago, and users are not removed
    return _user_out(found[0])


def _user_out(user: User) -> UserOut:
    return UserOut(
        name=user.name,
        role=user.role,
        is_active=user.is_active,
        has_password=user.has_password,
        created_at=user.created_at,
        teams=list(user.teams),
    )


def _key_out(key: Key) -> KeyOut:
    limits = key.limits or Limits()
    return KeyOut(
        id=key.id,
        user=key.user,
        label=key.label,
        role=key.role,
        scopes=None if limits.scopes is None else sorted(limits.scopes),
        teams=None if limits.teams is None else sorted(limits.teams),
        kinds=None if limits.kinds is None else sorted(limits.kinds),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        used_at=key.used_at,
    )
