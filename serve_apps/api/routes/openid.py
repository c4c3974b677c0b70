"""Signing in at an OpenID provider, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.principal import Caller, Principal, is_over_tls
from serve_apps.api.routes.access import begin_session, note_refusal
from serve_apps.api.urls import base_url
from thornback.access.changes import AddUser, LinkAccount, User, UseState
from thornback.access.oidc import FLOW_TIME, Flow, Identity, admitted_name, read_flow, write_flow
from thornback.access.roles import Role
from thornback.errors import Forbidden, InvalidInput, NotSignedIn, ThornbackError

PATH = "/api/v1/session/openid"
COOKIE = "thornback_openid"

router = APIRouter(prefix=PATH, tags=["access"], dependencies=[Depends(json_only)])


class Begin(BaseModel):
    """Where to go afterwards."""

    model_config = ConfigDict(extra="forbid")

    back: Annotated[str, Field(max_length=1000, pattern="^#/", description="A place of the console.")] = "#/"
    link: Annotated[bool, Field(description="Let the account stand for you from now on; you are signed in.")] = False


class Way(BaseModel):
    """Where the browser goes now."""

    url: str


@router.post("", summary="Sign in at the provider")
async def begin(context: Context, caller: Caller, request: Request, response: Response, body: Begin) -> Way:
    """Where somebody signs in who has an account there. It works once, in this browser, for ten minutes."""
    principal: Principal | None = caller
    if context.settings.openid_name is None:
        raise InvalidInput.field("body", "there is no OpenID provider here: THORNBACK_OIDC_ISSUER and _CLIENT_ID")
    if body.link and (principal is None or principal.via != "session"):
        raise NotSignedIn("sign in first; then the account can stand for you")
    link = principal.user if body.link and principal is not None else None
    flow = Flow.begin(back=body.back, link=link, now=datetime.now(UTC))
    url = await context.openid.way_there(flow, callback=_callback(context, request))
    response.set_cookie(
        COOKIE,
        write_flow(flow, context.ticket_secret),
        max_age=int(FLOW_TIME.total_seconds()),
        httponly=True,
        samesite="lax",  # it comes back from another site
        secure=is_over_tls(request, context.settings),
        path=PATH,
    )
    return Way(url=url)


@router.get("/callback", status_code=303, response_class=RedirectResponse, summary="Back from the provider")
async def callback(
    context: Context,
    request: Request,
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> RedirectResponse:
    """Begin a session, or say on the page why not."""
    back, problem, is_link = "#/", None, False
    try:
        flow = read_flow(request.cookies.get(COOKIE, ""), context.ticket_secret, state=state, now=datetime.now(UTC))
        back, is_link = flow.back, flow.link is not None
        user = await _who(context, request, flow, code, error)
    except ThornbackError as refused:
        user, problem = None, refused.message
        await note_refusal(context, request, name="-", via="openid", why=refused.message)
    place = back if problem is None else _place_of(problem, back, is_signed_in=is_link)
    answer = RedirectResponse(base_url(request, context.settings).http(f"/{place}"), status_code=303)
    answer.headers["Cache-Control"] = "no-store"
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax")
    if user is not None:
        await begin_session(context, request, answer, user, via="openid")
    return answer


def _place_of(problem: str, back: str, *, is_signed_in: bool) -> str:
    """Where the page says why not: whoever wanted to link an account is signed in, and where they began."""
    said = f"problem={quote(problem[:300])}"
    return f"{back.partition('?')[0]}?{said}" if is_signed_in else f"#/sign-in?{said}&back={quote(back)}"


async def _who(context: ApiContext, request: Request, flow: Flow, code: str, error: str) -> User:
    if context.settings.openid_name is None:
        raise NotSignedIn("there is no OpenID provider here any more")
    now = datetime.now(UTC)
    ends = datetime.fromtimestamp(flow.expires, UTC) + timedelta(minutes=1)
    if not await context.recorder.administer(UseState(digest=flow.digest, at=now, expires_at=ends)):
        raise NotSignedIn("this sign-in was used already; begin again")
    if error or not code:
        raise NotSignedIn(f"the provider did not let you in: {error or 'it sent no code'}")
    identity = await context.openid.identity(code, flow, callback=_callback(context, request), now=now)
    user = await _user_of(context, identity, flow.link)
    if not user.is_active:
        raise Forbidden(f"{user.name} is switched off; ask an admin")
    return user


async def _user_of(context: ApiContext, identity: Identity, link: str | None) -> User:
    """By the subject of the account; else the user who asked for the link, or who has the verified address."""
    linked = await context.read(lambda _: context.access.account(identity.issuer, identity.subject))
    if linked is not None:
        if link is not None and linked.name != link:
            raise Forbidden("this account stands for another user already")
        return linked
    now = datetime.now(UTC)
    name = link or admitted_name(identity, context.settings.oidc_domains)
    if await context.read(lambda _: context.access.user(name)) is None:
        new = AddUser(name=name, role=Role(context.settings.oidc_role), password_hash=None, at=now)
        await context.recorder.administer(new, by=name)
    account = LinkAccount(issuer=identity.issuer, subject=identity.subject, user=name, email=identity.email, at=now)
    await context.recorder.administer(account, by=name)
    found = await context.read(lambda _: context.access.user(name))
    assert found is not None  # noqa: S101 - it was written a moment ago, and users are not removed
    return found[0]


def _callback(context: ApiContext, request: Request) -> str:
    return base_url(request, context.settings).http(f"{PATH}/callback")
