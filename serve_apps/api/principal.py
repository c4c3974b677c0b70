"""Who asks: found once for each request, before its route runs, and checked against the route's rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, WebSocketException
from starlette.requests import HTTPConnection

from serve_apps.api.context import ApiContext, get_context
from serve_apps.api.guard import SAFE_METHODS, is_own
from serve_apps.api.rules import Rule, rule_of, scope_of
from serve_apps.api.urls import parse_base
from thornback.access.changes import KeyUsed, User
from thornback.access.roles import Role
from thornback.access.scopes import Limits
from thornback.access.sight import Sight
from thornback.access.tickets import read_ticket
from thornback.access.tokens import KEY, SESSION, Token, read_token
from thornback.errors import Forbidden, JobNotFound, NotSignedIn
from thornback.settings import Settings

LOCAL_USER = "local"
COOKIE = "thornback_session"
CLOSE_POLICY = 1008
_TOLD_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller of a request."""

    user: str
    role: Role
    via: Literal["open", "key", "session", "ticket"]
    token_id: str | None = None  # of the key or the session
    teams: frozenset[str] = frozenset()
    sight: Sight | None = None  # what the caller may look at; None: everything
    limit: Role | None = None  # of the key, where it is for less than its user may
    limits: Limits | None = None  # of the key, where it is for parts of that
    job_id: str | None = None  # all that a ticket may read, where it names one

    @property
    def is_admin(self) -> bool:
        """True for those who may change what belongs to others."""
        return self.role is Role.ADMIN


# Without access control whoever reaches the API, on loopback, is the one user.
LOCAL = Principal(user=LOCAL_USER, role=Role.ADMIN, via="open")


async def authorize(connection: HTTPConnection) -> None:
    """Let the request through to its route, or not. Raises NotSignedIn, Forbidden."""
    context = get_context(connection)
    scope = connection.scope
    method = scope["method"] if scope["type"] == "http" else "WS"
    rule = rule_of(method, scope["route"].path)
    try:
        principal = await _authenticate(context, connection, rule)
        _check(principal, rule, scope.get("path_params", {}))
        _check_scope(principal, scope["route"].path, rule)
        if principal is not None and rule.job is not None and scope["type"] == "http":  # a socket says it in its words
            await _check_job(context, principal, rule, str(scope["path_params"][rule.job]))
    except (NotSignedIn, Forbidden) as error:
        if scope["type"] == "websocket":
            raise WebSocketException(CLOSE_POLICY, error.message) from None
        raise
    connection.state.principal = principal


async def look_again(context: ApiContext, connection: HTTPConnection, known: Principal) -> Principal:
    """Who somebody is now that was let in before. A ticket opens a stream, and need not hold for as long as that.

    Raises NotSignedIn, Forbidden, JobNotFound as at the beginning.
    """
    if known.via == "open":
        return known
    scope = connection.scope
    rule = rule_of(scope["method"] if scope["type"] == "http" else "WS", scope["route"].path)
    found: Principal | None
    if known.via == "ticket":
        found = await _holder(context, known.user, known.job_id)
    else:
        found = await _authenticate(context, connection, rule)
    if found is None:
        raise NotSignedIn("the session has ended; sign in again")
    _check(found, rule, scope.get("path_params", {}))
    _check_scope(found, scope["route"].path, rule)
    if rule.job is not None:
        await _check_job(context, found, rule, str(scope["path_params"][rule.job]))
    return found


async def current_principal(connection: HTTPConnection) -> Principal:
    """Whom `authorize` has let in."""
    principal: Principal = connection.state.principal
    return principal


Caller = Annotated[Principal, Depends(current_principal)]


def check_owner(principal: Principal, job_id: str, *, owner: str, team: str | None) -> None:
    """Raises JobNotFound where the caller may not know of the job, Forbidden where they may only look at it."""
    if principal.sight is not None and not principal.sight.sees(owner=owner, team=team):
        raise JobNotFound(job_id)
    if principal.is_admin or owner == principal.user or (team is not None and team in principal.teams):
        return
    who = f"{owner} and admins" if team is None else f"{owner}, trainers of team {team} and admins"
    raise Forbidden(f"job {job_id} belongs to {owner}; only {who} may change it")


async def _authenticate(context: ApiContext, connection: HTTPConnection, rule: Rule) -> Principal | None:
    """None where nobody says who they are. Raises NotSignedIn for what is wrong or has ended."""
    ticket = connection.query_params.get("ticket")
    if ticket is not None and rule.role is not None:
        # Without access control too: the answer to who has a ticket can be read by pages of any site.
        if not rule.takes_ticket:
            raise Forbidden("a ticket does not open this; send an API key, or sign in")
        return await _by_ticket(context, ticket)
    if not context.settings.has_access_control:
        return LOCAL
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme:
        token = read_token(given.strip())
        if scheme.lower() != "bearer" or token is None or token.kind != KEY:
            raise NotSignedIn("the Authorization header has to be `Bearer` and an API key (tbk_…)")
        return await _by_key(context, token)
    cookie = connection.cookies.get(COOKIE)
    token = read_token(cookie) if cookie else None
    if token is None or token.kind != SESSION:
        return None
    if not _is_own_page(context, connection):
        raise Forbidden("a session is for the pages of this server; pages of other sites send an API key or a ticket")
    principal = await _by_session(context, token)
    # A cookie that has ended is like none: what is open to all stays open.
    if principal is None and rule.role is not None:
        raise NotSignedIn("the session has ended; sign in again")
    return principal


def _is_own_page(context: ApiContext, connection: HTTPConnection) -> bool:
    """False where a page of another site, even an allowed one, would act with the cookie of this one.

    A browser names the origin with everything that is more than a look, and with every socket. What comes without one
    is a program's; that a browser left out `Sec-Fetch-Site` too and sent a cookie marked SameSite is not to be had.
    """
    origin = connection.headers.get("origin")
    if origin is None or (connection.scope["type"] == "http" and connection.scope["method"] in SAFE_METHODS):
        return True
    public = context.settings.public_url
    return is_own(origin, connection.headers, parse_base(public).host.lower() if public else None)


def _check_scope(principal: Principal | None, path: str, rule: Rule) -> None:
    if principal is None or principal.limits is None or rule.role is None:
        return
    needed = scope_of(path, rule)
    if needed is None:
        raise Forbidden("this needs an API key that is not limited to parts of the platform")
    if not principal.limits.allows(needed):
        has = (
            "is for teams only"
            if principal.limits.scopes is None
            else f"has {', '.join(sorted(principal.limits.scopes))}"
        )
        raise Forbidden(f"this needs the scope {needed}; the API key {has or 'none'}")


def _check(principal: Principal | None, rule: Rule, parameters: Mapping[str, Any]) -> None:
    if rule.role is None:
        return
    if principal is None:
        raise NotSignedIn("sign in, or send an API key: `Authorization: Bearer tbk_…`")
    if not principal.role.covers(rule.role):
        raise Forbidden(f"this needs the role {rule.role}; {principal.user} has {principal.role}")
    if principal.job_id is not None and str(parameters.get("job_id")) != principal.job_id:
        raise Forbidden("this ticket is for one job, and not for this one")


async def _check_job(context: ApiContext, principal: Principal, rule: Rule, job_id: str) -> None:
    if principal.is_admin or (principal.sight is None and not rule.changes):
        return
    found = (await context.read(lambda store: store.owners_of([job_id]))).values()
    for owner, team in found:  # one, or none: what is unknown or gone is the route's to tell
        if rule.changes:
            check_owner(principal, job_id, owner=owner, team=team)
        elif principal.sight is not None and not principal.sight.sees(owner=owner, team=team):
            raise JobNotFound(job_id)
    if not found and rule.changes:
        raise JobNotFound(job_id)


async def _by_ticket(context: ApiContext, text: str) -> Principal:
    ticket = read_ticket(text, context.ticket_secret, now=datetime.now(UTC))
    if ticket is None:
        raise NotSignedIn("the ticket is wrong or has ended; ask for a new one (POST /api/v1/tickets)")
    return await _holder(context, ticket.user, ticket.job_id)


async def _holder(context: ApiContext, user: str, job_id: str | None) -> Principal:
    """Whoever has a ticket of a user."""
    if not context.settings.has_access_control:
        return Principal(user=user, role=Role.VIEWER, via="ticket", job_id=job_id)
    found = await context.read(lambda _: context.access.user(user))
    if found is None or not found[0].is_active:
        raise NotSignedIn("the user of the ticket is here no longer")
    return Principal(
        user=user,
        role=Role.VIEWER,
        via="ticket",
        job_id=job_id,
        teams=frozenset(found[0].teams),
        sight=_sight(context, found[0]),
    )


async def _by_key(context: ApiContext, token: Token) -> Principal:
    found = await context.read(lambda _: context.access.key(token.id))
    now = datetime.now(UTC)
    if found is None or not token.matches(found[1]):
        raise NotSignedIn("the API key is wrong")
    key, _, user = found
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now) or not user.is_active:
        raise NotSignedIn("the API key has been revoked or has expired")
    if key.used_at is None or now >= key.used_at + _TOLD_EVERY:
        await context.recorder.administer(KeyUsed(id=key.id, at=now))
    whole = Principal(
        user=user.name,
        role=user.role.at_most(key.role),
        via="key",
        token_id=key.id,
        limit=key.role,
        limits=key.limits,
        teams=frozenset(user.teams),
        sight=_sight(context, user),
    )
    return whole if key.limits is None or key.limits.teams is None else _within(whole, user, key.limits.teams)


def _within(whole: Principal, user: User, teams: frozenset[str]) -> Principal:
    """Who may no more than what some teams may. An admin need not be in them."""
    mine = teams if user.role is Role.ADMIN else teams & whole.teams
    sight = Sight(user=user.name, teams=mine, shared=False, own=False)
    return replace(whole, role=whole.role.at_most(Role.TRAINER), teams=mine, sight=sight)


async def _by_session(context: ApiContext, token: Token) -> Principal | None:
    found = await context.read(lambda _: context.access.session(token.id))
    if found is None or not token.matches(found[0]) or found[1] <= datetime.now(UTC) or not found[2].is_active:
        return None
    user = found[2]
    return Principal(
        user=user.name,
        role=user.role,
        via="session",
        token_id=token.id,
        teams=frozenset(user.teams),
        sight=_sight(context, user),
    )


def _sight(context: ApiContext, user: User) -> Sight | None:
    """An admin sees everything, also by a key that is for less."""
    if user.role is Role.ADMIN:
        return None
    return Sight(user=user.name, teams=frozenset(user.teams), shared=context.settings.shared_jobs)


def is_over_tls(connection: HTTPConnection, settings: Settings) -> bool:
    """True where the browser came by https, straight or through a proxy."""
    forwarded = connection.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return (
        connection.url.scheme in ("https", "wss")
        or forwarded == "https"
        or (settings.public_url is not None and settings.public_url.startswith("https:"))
    )
