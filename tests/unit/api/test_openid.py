"""Signing in at an OpenID provider: a real one on loopback, whose answers are then spoiled one by one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from joserfc.jwk import OctKey, RSAKey

from tests.fixtures.api import ApiPlatform, now
from tests.fixtures.openid import CLIENT, SECRET, Account, Provider, openid_provider
from tests.unit.api.test_access import Guarded, guarded
from thornback.access import oidc
from thornback.access.changes import ChangeUser
from thornback.store.access import AccessReader

__all__ = ["guarded"]  # the fixture

SESSION = "/api/v1/session"
OPENID = f"{SESSION}/openid"


@asynccontextmanager
async def signing_in(guarded: Guarded, provider: Provider, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser before a server that sends people to this provider."""
    given = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_domains": ["example.org"],
        "oidc_role": "trainer",
    }
    async with guarded.client(**given | settings) as client:
        yield client


async def at_the_provider(client: httpx2.AsyncClient, **body: Any) -> str:
    """Begin, let oneself in there, and the address that leads back."""
    begun = await client.post(OPENID, json=body)
    assert begun.status_code == 200, begun.text
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(begun.json()["url"])
    assert answer.status_code == 302, answer.text
    back: str = answer.headers["location"]
    return back


async def sign_in(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    return await client.get(await at_the_provider(client, **body))


def problem_of(answer: httpx2.Response) -> str:
    fragment = urlsplit(answer.headers["location"]).fragment
    return parse_qs(fragment.partition("?")[2]).get("problem", [""])[0]


async def test_in_by_the_provider_and_out_again(guarded: Guarded) -> None:
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        assert (await client.get(SESSION)).json()["openid"] == "127.0.0.1"
        begun = await client.post(OPENID, json={"back": "#/new?kind=lora"})
        cookie = begun.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=lax", f"path={OPENID}", "max-age=600"))
        query = parse_qs(urlsplit(begun.json()["url"]).query)
        assert query["code_challenge_method"] == ["S256"]
        assert all(query[name][0] for name in ("state", "nonce", "code_challenge"))
        answer = await sign_in(client, back="#/new?kind=lora")
        assert (answer.status_code, answer.headers["location"]) == (303, "http://127.0.0.1:8001/#/new?kind=lora")
        session = (await client.get(SESSION)).json()
        assert (session["user"], session["role"], session["via"]) == ("ada@example.org", "trainer", "session")
        await client.delete(SESSION)
        # the second time the subject says who it is, whatever the address has become
        provider.account = Account(email="other@elsewhere.example", email_verified=False)
        await sign_in(client)
        assert (await client.get(SESSION)).json()["user"] == "ada@example.org"
        assert provider.asked == ["discovery", "keys"]  # once
    log = AccessReader(guarded.api.reader.engine).audit(limit=100)
    acts = [(entry.action, entry.detail.get("via")) for entry in log if entry.actor == "ada@example.org"]
    assert acts == [
        ("user.add", None),
        ("account.link", None),
        ("session.open", "openid"),
        ("session.close", None),
        ("session.open", "openid"),
    ]


def changed(**claims: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def spoil(given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in (given | claims).items() if value is not None}

    return spoil


SPOILED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another nonce": changed(nonce="x"),
    "no nonce": changed(nonce=None),
    "another audience": changed(aud="other"),
    "several audiences": changed(aud=[CLIENT, "other"]),
    "another party": changed(azp="other"),
    "no audience": changed(aud=None),
    "expired": changed(exp=int(time.time()) - 900),
    "no end": changed(exp=None),
    "of the future": changed(iat=int(time.time()) + 86_400),
    "another issuer": changed(iss="https://evil.example"),
    "nobody": changed(sub=None),
}


async def test_answers_that_are_not_for_us_let_nobody_in(guarded: Guarded) -> None:
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        for name, spoil in SPOILED.items():
            provider.spoil = spoil
            problem = problem_of(await sign_in(client))
            assert "what the provider says of you" in problem, name
            assert (await client.get(SESSION)).json()["user"] is None, name
    refused = AccessReader(guarded.api.reader.engine).audit(action="session.refused", limit=100)
    assert len(refused) == len(SPOILED)
    assert all(entry.detail["via"] == "openid" for entry in refused)


async def test_a_key_that_is_not_theirs_and_one_of_a_shared_secret(guarded: Guarded) -> None:
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        shared = OctKey.import_key(SECRET)
        for key in (RSAKey.generate_key(2048), shared):
            provider.signs_with = key
            assert "cannot be believed" in problem_of(await sign_in(client))
        provider.signs_with = None
        provider.new_key()  # as providers do from time to time
        assert problem_of(await sign_in(client)) == ""
        assert (await client.get(SESSION)).json()["user"] == "ada@example.org"


async def test_a_way_back_works_once_and_in_one_browser(guarded: Guarded) -> None:
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        back = await at_the_provider(client)
        cookie = {name: value for name, value in client.cookies.items() if name == "thornback_openid"}
        stranger = await at_the_provider(client)
        client.cookies.clear()
        assert "did not begin in this browser" in problem_of(await client.get(back))
        client.cookies.update(cookie)
        assert "did not begin in this browser" in problem_of(await client.get(stranger))
        client.cookies.update(cookie)
        assert problem_of(await client.get(back)) == ""
        await client.delete(SESSION)
        client.cookies.update(cookie)
        assert "used already" in problem_of(await client.get(back))
        assert (await client.get(SESSION)).json()["user"] is None
        client.cookies.set("thornback_openid", cookie["thornback_openid"][:-4] + "AAAA")
        assert "did not begin in this browser" in problem_of(await client.get(back))


async def test_what_the_provider_refuses(guarded: Guarded) -> None:
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        back = await at_the_provider(client)
        state = parse_qs(urlsplit(back).query)["state"][0]
        refused = await client.get(f"{OPENID}/callback", params={"state": state, "error": "access_denied"})
        assert "access_denied" in problem_of(refused)
        back = await at_the_provider(client)
        state = parse_qs(urlsplit(back).query)["state"][0]
        wrong = await client.get(f"{OPENID}/callback", params={"state": state, "code": "wrong"})
        assert "does not take this sign-in" in problem_of(wrong)


async def test_whom_the_address_lets_in(guarded: Guarded) -> None:
    accounts = {
        "not verified": Account(subject="1", email_verified=False),
        "nobody of elsewhere.example": Account(subject="2", email="eve@elsewhere.example"),
        "nobody of evil.example": Account(subject="3", email="ada@example.org@evil.example"),
    }
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        for words, account in accounts.items():
            provider.account = account
            assert words in problem_of(await sign_in(client))
        # ada@example.org is a user; an address that is not verified does not make somebody her
        provider.account = Account()
        await sign_in(client)
        client.cookies.clear()
        provider.account = Account(subject="4", email_verified=False)
        assert "not verified" in problem_of(await sign_in(client))
        await guarded.api.recorder.administer(ChangeUser(name="ada@example.org", is_active=False, at=now()))
        provider.account = Account()
        assert "switched off" in problem_of(await sign_in(client))


async def test_an_account_is_linked_by_who_is_signed_in(guarded: Guarded) -> None:
    nobody = Account(email_verified=False)
    async with openid_provider(Provider(account=nobody)) as provider, signing_in(guarded, provider) as client:
        assert (await client.post(OPENID, json={"link": True})).status_code == 401
        for who in ("bob", "tom"):
            await client.post(SESSION, json={"api_key": guarded.keys[who]})
            problem = problem_of(await sign_in(client, link=True))
            assert problem == ("" if who == "bob" else "this account stands for another user already")
        client.cookies.clear()
        await sign_in(client)
        assert (await client.get(SESSION)).json()["user"] == "bob"


async def test_an_address_that_only_userinfo_tells(guarded: Guarded) -> None:
    async with openid_provider(Provider(email_in_token=False)) as provider, signing_in(guarded, provider) as client:
        provider.userinfo = {"sub": "somebody else", "email": "eve@example.org", "email_verified": True}
        assert "somebody else" in problem_of(await sign_in(client))
        provider.userinfo = None
        assert problem_of(await sign_in(client)) == ""


async def test_a_provider_that_is_away_or_another(guarded: Guarded) -> None:
    async with openid_provider(Provider()) as provider:
        provider.says_issuer = "https://evil.example"
        async with signing_in(guarded, provider) as client:
            answer = await client.post(OPENID, json={})
            assert (answer.status_code, "says that it is" in answer.json()["detail"]) == (503, True)
    async with signing_in(guarded, provider) as client:
        assert (await client.post(OPENID, json={})).status_code == 503
    async with guarded.client(oidc_issuer="http://idp.example", oidc_client_id="x") as client:
        answer = await client.post(OPENID, json={})
        assert (answer.status_code, "is not https" in answer.json()["detail"]) == (503, True)


async def test_only_places_of_the_console_are_gone_back_to(guarded: Guarded) -> None:
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        for back in ("https://evil.example", "//evil.example", "/x", "javascript:alert(1)", ""):
            assert (await client.post(OPENID, json={"back": back})).status_code == 422


async def test_where_none_is_set_up(guarded: Guarded, api: ApiPlatform) -> None:
    async with guarded.client() as client:
        assert (await client.get(SESSION)).json()["openid"] is None
        assert (await client.post(OPENID, json={})).status_code == 422
    async with api.client() as client:
        assert (await client.post(OPENID, json={})).status_code == 422


async def test_at_google_the_organisation_has_to_vouch_for_the_address(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with openid_provider(Provider()) as provider, signing_in(guarded, provider) as client:
        monkeypatch.setattr(oidc, "_GOOGLE", provider.issuer)  # its rules, for this provider
        for number, hosted in enumerate((None, "elsewhere.example", "EXAMPLE.org")):
            provider.account = Account(subject=f"g-{number}", email="zoe@example.org", hd=hosted)
            problem = problem_of(await sign_in(client))
            is_in = hosted == "EXAMPLE.org"
            assert ("does not belong to the organisation example.org" in problem) is not is_in
            assert (await client.get(SESSION)).json()["user"] == ("zoe@example.org" if is_in else None)
