"""Who may do what: every route, every role, jobs of one's own and of others."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serve_apps.api.principal import COOKIE
from serve_apps.api.rules import RULES, Rule, rule_of
from tests.fixtures.api import JOBS, ApiPlatform, Reports, serving
from thornback.access.changes import AddKey, AddMember, AddTeam, AddUser, ChangeUser
from thornback.access.passwords import hash_password
from thornback.access.roles import Role
from thornback.access.tokens import KEY, new_token
from thornback.settings import Settings

NOBODY = "nobody"
BODY = {"job_name": "test", "config": {}}
PASSWORD = "correct horse battery"
REFUSED = {401: "not_signed_in", 403: "forbidden", 404: "job_not_found"}
TEAM = "vision"


class Guarded:
    """A platform where everybody has to say who they are, with users of each role, in a team and outside of it."""

    def __init__(self, api: ApiPlatform) -> None:
        self.api = api
        self.keys: dict[str, str] = {}

    async def add(self, name: str, role: Role, *, password: str | None = None) -> None:
        kept = None if password is None else hash_password(password)
        at = datetime.now(UTC)
        await self.api.recorder.administer(AddUser(name=name, role=role, password_hash=kept, at=at))
        await self.add_key(name)

    async def add_team(self, id: str, *members: str) -> None:
        at = datetime.now(UTC)
        await self.api.recorder.administer(AddTeam(id=id, name=id.title(), at=at))
        for user in members:
            await self.api.recorder.administer(AddMember(team=id, user=user, at=at))

    async def add_key(self, name: str, *, role: Role | None = None, days: float | None = None) -> str:
        token, at = new_token(KEY), datetime.now(UTC)
        expires = None if days is None else at + timedelta(days=days)
        key = AddKey(id=token.id, user=name, digest=token.digest, label="test", role=role, at=at, expires_at=expires)
        await self.api.recorder.administer(key)
        self.keys[name] = token.text
        return token.text

    @asynccontextmanager
    async def client(self, who: str = NOBODY, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
        async with self.api.client(**{"access": "on"} | settings) as client:
            if who != NOBODY:
                client.headers["Authorization"] = f"Bearer {self.keys[who]}"
            yield client


@pytest.fixture
async def guarded(api: ApiPlatform) -> Guarded:
    guarded = Guarded(api)
    for name, role in CALLERS.items():
        if role is not None:
            await guarded.add(name, role)
    await guarded.add_team(TEAM, "ada", "tom", "tess")
    await guarded.add_team("audio", "bob")
    return guarded


def routes(app: Any) -> set[tuple[str, str]]:
    """As the description of the API has them, and the socket."""
    found = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    return found | {("WS", "/ws/training/{job_id}"), ("WS", "/training/{job_id}")}


def as_openapi(path: str) -> str:
    return path.replace(":path}", "}")


async def test_every_route_has_an_entry_and_every_entry_a_route(api: ApiPlatform) -> None:
    entries = {(method, as_openapi(path)) for method, path in RULES}
    hidden = {("POST", f"/api/webhooks/{provider}") for provider in ("replicate", "fal")}  # not described
    hidden.add(("POST", "/api/v1/uploads/{upload_id}"))
    assert routes(api.app()) - entries == set()
    assert entries - routes(api.app()) - hidden == set()
    assert rule_of("GET", "/api/v1/forgotten").role is Role.ADMIN


def filled(path: str, job_id: str) -> str:
    values = {"job_id": job_id, "set_id": job_id, "id": job_id, "number": "1", "delivery_id": "1", "provider": "fal"}
    values["kind"] = "user"
    for name in (
        "team",
        "name",
        "model",
        "version",
        "alias",
        "key_id",
        "upload_id",
        "key",
        "frame_id",
        "webhook_id",
        "message_id",
    ):
        values[name] = "x"
    values["kind"] = "user"
    return as_openapi(path).format(**values)


def wanted(role: Role | None, rule: Rule, *, sees: bool, changes: bool) -> int | None:
    """The status of a refusal; None for whoever gets past the door."""
    if rule.role is None:
        return None
    if role is None:
        return 401
    if not role.covers(rule.role):
        return 403
    if rule.job is None or changes:
        return None
    if not sees:
        return 404
    return 403 if rule.changes else None


def refusal(answer: httpx2.Response) -> int | None:
    """The status where it is about who asks; an answer to HEAD has no body to tell by."""
    if answer.status_code not in REFUSED:
        return None
    told = answer.json()["code"] if answer.content else REFUSED[answer.status_code]
    return answer.status_code if told == REFUSED[answer.status_code] else None


# The job is ada's. Tom and Tess are in the team; vera is in none, and bob is in another.
CALLERS = {
    NOBODY: None,
    "vera": Role.VIEWER,
    "tess": Role.VIEWER,
    "bob": Role.TRAINER,
    "tom": Role.TRAINER,
    "ada": Role.TRAINER,
    "root": Role.ADMIN,
}
ELSEWHERE = ("/events", "/session", "/lora/status/{job_id}")  # streams, and what other kinds of jobs answer
EVERYBODY = set(CALLERS) - {NOBODY}
# The team of the job, whether jobs without one are shared, who sees it and who changes it where the role allows.
OWNERS = [
    (None, True, EVERYBODY, {"ada", "root"}),
    (None, False, {"ada", "root"}, {"ada", "root"}),
    (TEAM, True, {"ada", "tom", "tess", "root"}, {"ada", "tom", "root"}),
    (TEAM, False, {"ada", "tom", "tess", "root"}, {"ada", "tom", "root"}),
]


@pytest.mark.parametrize(("team", "shared", "sees", "changes"), OWNERS)
async def test_each_role_at_each_route(
    guarded: Guarded, team: str | None, shared: bool, sees: set[str], changes: set[str]
) -> None:
    """Refused are those whose role is too small, who may not know of the job, or may only look at it."""
    job = await guarded.api.create(user="ada", team=team)
    wrong: list[str] = []
    async with guarded.client(shared_jobs=shared) as client:
        for (method, path), rule in RULES.items():
            if rule.job is None and not (team is None and shared):
                continue  # nothing depends on the job
            for who, role in CALLERS.items():
                may_change = who in changes
                if (
                    method == "WS"
                    or path.endswith(("/events", "/session", "/lora/status/{job_id}"))
                    or (method == "DELETE" and may_change)
                ):
                    continue  # in tests of their own; and what is deleted is there no more for the rest of the table
                headers = {"content-type": "application/json", "tus-resumable": "1.0.0"}
                if role is not None:
                    headers["Authorization"] = f"Bearer {guarded.keys[who]}"
                body = None if method in ("GET", "HEAD", "OPTIONS") else b"{}"
                answer = await client.request(method, filled(path, job.id), headers=headers, content=body)
                if refusal(answer) != wanted(role, rule, sees=who in sees, changes=may_change):
                    wrong.append(f"{who} {method} {path}: {answer.status_code} {answer.text[:120]}")
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Bearer", "has to be `Bearer`"),
        ("Bearer x", "has to be `Bearer`"),
        ("Basic YWRhOmFkYQ==", "has to be `Bearer`"),
        pytest.param(f"Bearer {new_token(KEY).text}", "the API key is wrong", id="nobody's"),
    ],
)
async def test_a_wrong_key_says_so(guarded: Guarded, header: str, words: str) -> None:
    async with guarded.client() as client:
        answer = await client.get(JOBS, headers={"Authorization": header})
    assert answer.status_code == 401
    assert words in answer.json()["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_keys_end_and_are_revoked(guarded: Guarded) -> None:
    async with guarded.client("ada") as client:
        made = (await client.post("/api/v1/keys", json={"label": "front end", "role": "viewer", "days": 1})).json()
        small = {"Authorization": f"Bearer {made['api_key']}"}
        assert (await client.get(JOBS, headers=small)).status_code == 200
        assert (await client.post(JOBS, json=BODY, headers=small)).json()["code"] == "forbidden"
        # a key for less makes none for more
        grown = await client.post("/api/v1/keys", json={"label": "x", "role": "trainer"}, headers=small)
        assert grown.json()["role"] == "viewer"
        assert made["api_key"] not in (await client.get("/api/v1/keys")).text
        assert (await client.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
        assert (await client.get(JOBS, headers=small)).status_code == 401
        other = await client.post("/api/v1/keys", json={"label": "x", "user": "bob"})
        assert other.status_code == 403
    old = await guarded.add_key("bob", days=-1)
    async with guarded.client() as client:
        answer = await client.get(JOBS, headers={"Authorization": f"Bearer {old}"})
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)


async def test_a_user_who_was_switched_off_is_out_at_once(guarded: Guarded) -> None:
    async with guarded.client("bob") as bob:
        assert (await bob.get(JOBS)).status_code == 200
        await guarded.api.recorder.administer(ChangeUser(name="bob", is_active=False, at=datetime.now(UTC)))
        assert (await bob.get(JOBS)).status_code == 401


async def test_jobs_belong_to_whom_made_them(guarded: Guarded) -> None:
    async with guarded.client("ada") as client:
        job_id = (await client.post(JOBS, json=BODY)).json()["id"]
        assert (await client.get(f"{JOBS}/{job_id}")).json()["job"]["user"] == "ada"
    assert guarded.api.reader.job(job_id).state.team == TEAM
    job_id = (await guarded.api.create(user="ada")).id
    async with guarded.client("bob") as client:
        answer = await client.post(f"{JOBS}/{job_id}/cancel")
        assert (answer.status_code, answer.json()["detail"]) == (
            403,
            f"job {job_id} belongs to ada; only ada and admins may change it",
        )
    async with guarded.client("root") as client:
        assert (await client.post(f"{JOBS}/{job_id}/cancel")).status_code == 202


async def test_signing_in_and_out(guarded: Guarded) -> None:
    await guarded.add("carl", Role.TRAINER, password=PASSWORD)
    async with guarded.client(public_url="https://train.example") as client:
        client.base_url = httpx2.URL("https://train.example")
        assert (await client.get("/api/v1/session")).json() == {
            "access_control": True,
            "user": None,
            "role": None,
            "via": None,
            "teams": [],
            "openid": None,
        }
        answer = await client.post("/api/v1/session", json={"name": "Carl ", "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        cookie = answer.headers["set-cookie"].lower()
        assert all(word in cookie for word in (COOKIE, "httponly", "samesite=lax", "secure", "path=/"))
        assert (await client.get("/api/v1/session")).json()["user"] == "carl"
        assert (await client.post(JOBS, json=BODY)).status_code == 201
        # the cookie is no use to other sites' pages
        evil = await client.post(JOBS, json=BODY, headers={"origin": "https://evil.example"})
        assert evil.json()["code"] == "cross_origin"
        value = client.cookies[COOKIE]
        assert (await client.delete("/api/v1/session")).status_code == 204
        client.cookies.set(COOKIE, value)
        ended = await client.get(JOBS)
        assert (ended.status_code, ended.json()["detail"]) == (401, "the session has ended; sign in again")


async def test_a_key_signs_in_too_but_not_one_for_less(guarded: Guarded) -> None:
    async with guarded.client() as client:
        answer = await client.post("/api/v1/session", json={"api_key": guarded.keys["ada"]})
        assert (answer.status_code, answer.json()["role"]) == (201, "trainer")
        small = await guarded.add_key("root", role=Role.VIEWER)
        assert (await client.post("/api/v1/session", json={"api_key": small})).status_code == 401


async def test_guessing_is_slowed_down(guarded: Guarded) -> None:
    await guarded.add("carl", Role.TRAINER, password=PASSWORD)
    app = guarded.api.app(access="on")
    async with guarded.api.client(app) as client:
        answer = await client.post("/api/v1/session", json={"name": "carl", "password": "wrong password"})
        assert (answer.status_code, answer.json()["detail"]) == (401, "the name or the password is wrong")
        for _ in range(20):
            app.state.context.sign_ins.failed(("name", "carl"), now=datetime.now(UTC))
        answer = await client.post("/api/v1/session", json={"name": " Carl", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_tries")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_password_is_never_shown(guarded: Guarded) -> None:
    async with guarded.client("root") as client:
        for body in ({"name": "dora", "password": "secret"}, {"name": "d", "password": 5, "x": "secret words here"}):
            answer = await client.post("/api/v1/users", json=body)
            assert answer.status_code == 422
            assert "secret" not in answer.text
        assert (await client.post("/api/v1/users", json={"name": "Dora", "password": PASSWORD})).status_code == 201
        assert (await client.post("/api/v1/users", json={"name": "dora"})).status_code == 409
        changed = await client.patch("/api/v1/users/dora", json={"role": "admin"})
        assert changed.json()["role"] == "admin"
        assert PASSWORD not in (await client.get("/api/v1/users")).text


async def test_a_ticket_reads_one_job_for_a_while(guarded: Guarded) -> None:
    job, other = await guarded.api.create(user="ada"), await guarded.api.create(user="ada")
    async with guarded.client("ada") as client:
        ticket = (await client.post("/api/v1/tickets", json={"job_id": job.id})).json()["ticket"]
        every = (await client.post("/api/v1/tickets", json={"seconds": 60})).json()["ticket"]
        del client.headers["Authorization"]
        seen = await client.get(
            f"{JOBS}/{job.id}", params={"ticket": ticket}, headers={"origin": "https://any.example"}
        )
        assert (seen.status_code, seen.headers["access-control-allow-origin"]) == (200, "*")
        assert (await client.get(f"{JOBS}/{other.id}", params={"ticket": ticket})).status_code == 403
        assert (await client.get(f"{JOBS}/{other.id}", params={"ticket": every})).status_code == 200
        assert (await client.get(JOBS, params={"ticket": every})).status_code == 403
        assert (await client.post(f"{JOBS}/{job.id}/cancel", params={"ticket": ticket})).status_code == 403
        assert (await client.get(f"{JOBS}/{job.id}", params={"ticket": "x"})).status_code == 401


async def test_without_access_control_a_ticket_still_has_to_be_one(api: ApiPlatform) -> None:
    """Or any page could read by naming any ticket, since answers to tickets are open to all sites."""
    job = await api.create()
    async with api.client() as client:
        for path in (JOBS, f"{JOBS}/{job.id}", "/api/v1/models"):
            answer = await client.get(path, params={"ticket": "x"}, headers={"origin": "https://evil.example"})
            assert answer.status_code in (401, 403)
            assert job.id not in answer.text.replace(f"/{job.id}", "")
        ticket = (await client.post("/api/v1/tickets", json={"job_id": job.id})).json()["ticket"]
        assert (await client.get(f"{JOBS}/{job.id}", params={"ticket": ticket})).status_code == 200


async def test_sockets_want_a_key_or_a_ticket(guarded: Guarded) -> None:
    job = await guarded.api.create(user="ada")
    await guarded.api.record(Reports(job.id).succeeded())
    async with guarded.client("ada") as client:
        ticket = (await client.post("/api/v1/tickets", json={"job_id": job.id})).json()["ticket"]
    app = guarded.api.app(access="on")
    async with serving(app) as place:
        address = f"ws://{place}/ws/training/{job.id}"
        evil = {"Origin": "https://evil.example"}
        key = {"Authorization": f"Bearer {guarded.keys['ada']}"}
        for url, headers in ((address, {}), (f"{address}?ticket=x", {}), (address, key | evil)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, additional_headers=headers).__aenter__()
            assert refused.value.response.status_code == 403
        for url, headers in ((address, key), (f"{address}?ticket={ticket}", evil)):
            async with connect(url, additional_headers=headers) as socket:
                assert '"connected"' in str(await socket.recv())


async def test_pages_of_other_sites_that_are_allowed(guarded: Guarded) -> None:
    mine, other = "https://app.example", "https://evil.example"
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    async with guarded.client("ada", allowed_origins=[mine]) as client:
        preflight = await client.options(JOBS, headers=asks | {"origin": mine})
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, mine)
        made = await client.post(JOBS, json=BODY, headers={"origin": mine})
        assert (made.status_code, made.headers["access-control-allow-origin"]) == (201, mine)
        assert "access-control-allow-credentials" not in made.headers
        assert (await client.options(JOBS, headers=asks | {"origin": other})).status_code == 400
        assert (await client.post(JOBS, json=BODY, headers={"origin": other})).status_code == 403


@pytest.mark.parametrize(
    ("changes", "has"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "gpu-box.lan"}, True),
        ({"public_url": "https://train.example"}, True),
        ({"public_url": "http://127.0.0.1:9000"}, False),
        ({"access": "off", "public_url": "https://train.example"}, False),
        ({"access": "on"}, True),
    ],
)
def test_when_everybody_has_to_say_who_they_are(changes: dict[str, Any], has: bool) -> None:
    assert Settings(**changes).has_access_control is has


async def test_streams_of_events_are_closed_too(guarded: Guarded) -> None:
    job = await guarded.api.create(user="ada")
    await guarded.api.record(Reports(job.id).succeeded())
    paths = (f"{JOBS}/{job.id}/events", "/api/v1/training/events")
    async with guarded.client() as client:
        for path, params in itertools.product(paths, ({}, {"ticket": "x"})):
            assert (await client.get(path, params=params)).status_code == 401


async def test_of_several_jobs_only_the_own_ones_are_cancelled(guarded: Guarded) -> None:
    mine, theirs = await guarded.api.create(user="ada"), await guarded.api.create(user="bob")
    async with guarded.client("ada") as client:
        answer = await client.post(f"{JOBS}/cancel", json={"ids": [mine.id, theirs.id]})
    results = answer.json()["results"]
    assert [(result["outcome"], result["code"]) for result in results] == [
        ("cancelling", None),
        ("refused", "forbidden"),
    ]
    assert "belongs to bob" in results[1]["detail"]
    assert not guarded.api.reader.job(theirs.id).state.cancel_requested
    async with guarded.client("root") as client:
        answer = await client.post(f"{JOBS}/delete", json={"ids": [mine.id, theirs.id]})
    assert answer.json()["done"] == 2
