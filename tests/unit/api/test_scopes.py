"""API keys that are for less than their user may: by scope, by team, by kind of job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from serve_apps.api.rules import RULES, scope_of
from tests.fixtures.api import JOBS, ApiPlatform
from tests.unit.api.test_access import BODY, Guarded, filled
from thornback.access.changes import AddKey
from thornback.access.roles import Role
from thornback.access.scopes import Limits, Scope
from thornback.access.tokens import KEY, new_token

TEAM = "vision"
KEYS = "/api/v1/keys"


@pytest.fixture
async def guarded(api: ApiPlatform) -> Guarded:
    """An admin, and a trainer in a team."""
    made = Guarded(api)
    await made.add("root", Role.ADMIN)
    await made.add("ada", Role.TRAINER)
    await made.add_team(TEAM, "ada")
    return made


async def key_of(guarded: Guarded, user: str, **limits: Any) -> dict[str, str]:
    """The header of a new key."""
    token = new_token(KEY)
    parts = {name: frozenset(values) for name, values in limits.items()}
    made = AddKey(
        id=token.id,
        user=user,
        digest=token.digest,
        label="test",
        role=None,
        limits=Limits(**parts),
        at=datetime.now(UTC),
        expires_at=None,
    )
    await guarded.api.recorder.administer(made)
    return {"Authorization": f"Bearer {token.text}", "content-type": "application/json", "tus-resumable": "1.0.0"}


def others(needed: Scope) -> Iterable[Scope]:
    """All scopes that do not open what `needed` opens."""
    return (scope for scope in Scope if needed not in scope.covers)


async def test_every_route_is_opened_by_its_scope_and_by_no_other(guarded: Guarded) -> None:
    wrong = []
    job = await guarded.api.create(user="root")
    having = {scope: await key_of(guarded, "root", scopes=[scope]) for scope in Scope}
    lacking = {scope: await key_of(guarded, "root", scopes=others(scope)) for scope in Scope}
    async with guarded.client() as client:
        for (method, path), rule in RULES.items():
            if method == "WS" or rule.role is None or path.endswith("/events"):
                continue  # streams do not end; who may open one is decided in the same place
            needed = scope_of(path, rule)
            target, body = filled(path, job.id), None if method in ("GET", "HEAD") else b"{}"
            refused = await client.request(method, target, headers=lacking[needed or Scope.JOBS_READ], content=body)
            if refused.status_code != 403:
                wrong.append(f"{method} {path} without {needed}: {refused.status_code}")
            if needed is None or method == "DELETE":
                continue  # what is deleted is there no more for the rest of the table
            let_in = await client.request(method, target, headers=having[needed], content=body)
            if let_in.status_code == 403 and "scope" in let_in.text:
                wrong.append(f"{method} {path} with {needed}: {let_in.text[:120]}")
    assert "\n".join(wrong) == ""


async def test_a_key_with_scopes_makes_neither_keys_nor_sessions_nor_tickets_for_all(guarded: Guarded) -> None:
    async with guarded.client("ada") as client:
        made = (await client.post(KEYS, json={"label": "ci", "scopes": ["jobs:write"], "kinds": ["convnext"]})).json()
        assert (made["scopes"], made["teams"], made["kinds"]) == (["jobs:write"], None, ["convnext"])
        assert (await client.get(KEYS)).json()["keys"][0]["scopes"] == ["jobs:write"]
        small = {"Authorization": f"Bearer {made['api_key']}"}
        assert (await client.post(KEYS, json={"label": "more"}, headers=small)).status_code == 403
        assert (await client.post("/api/v1/tickets", json={}, headers=small)).status_code == 403
        assert (await client.post("/api/v1/session", json={"api_key": made["api_key"]})).status_code == 401
        job = (await client.post(JOBS, json=BODY, headers=small)).json()["id"]
        ticket = await client.post("/api/v1/tickets", json={"job_id": job}, headers=small)
        assert ticket.status_code == 201
        other = await key_of(guarded, "ada", kinds=["lora"])
        refused = await client.post(JOBS, json=BODY, headers=other)
        assert (refused.status_code, "starts no jobs of kind convnext" in refused.json()["detail"]) == (403, True)
    async with guarded.client("root") as client:
        [act] = (await client.get("/api/v1/audit", params={"action": "key.add", "actor": "ada"})).json()["entries"]
        assert act["detail"]["scopes"] == ["jobs:write"]


async def test_a_key_of_a_team_sees_and_makes_what_is_of_it_only(guarded: Guarded) -> None:
    own = await guarded.api.create("own", user="ada")
    ours = await guarded.api.create("ours", user="bob", team=TEAM)
    for user in ("ada", "root"):
        headers = await key_of(guarded, user, teams=[TEAM])
        async with guarded.client() as client:
            client.headers.update(headers)
            assert [job["id"] for job in (await client.get(JOBS)).json()["jobs"]] == [ours.id]
            assert (await client.get(f"{JOBS}/{own.id}")).status_code == 404
            assert (await client.get(f"{JOBS}/{ours.id}")).status_code == 200
            assert (await client.post(f"{JOBS}/{own.id}/cancel", json={})).status_code == 404
            assert (await client.get("/api/v1/webhooks")).status_code == 403
            assert (await client.get("/api/v1/users")).status_code == 403
            made = await client.post(JOBS, json=BODY)
            assert made.json()["team"] == TEAM
            assert (await client.post(JOBS, json={**BODY, "team": "others"})).status_code == 422
            assert (await client.post(f"{JOBS}/{made.json()['id']}/cancel", json={})).is_success
        await guarded.api.recorder.delete(made.json()["id"])


async def test_limits_that_make_no_sense_are_refused(guarded: Guarded) -> None:
    async with guarded.client("ada") as client:
        for body, field in (
            ({"scopes": ["jobs:fly"]}, "scopes.0"),
            ({"scopes": []}, "scopes"),
            ({"teams": ["others"]}, "teams"),
            ({"kinds": ["nonsense"]}, "kinds"),
        ):
            answer = await client.post(KEYS, json={"label": "x", **body})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_scopes_that_a_release_does_not_know_open_nothing() -> None:
    kept = Limits.from_json({"scopes": ["jobs:write", "moon:read"], "teams": ["a"]})
    assert kept == Limits(scopes=frozenset({Scope.JOBS_WRITE}), teams=frozenset({"a"}))
    assert kept.allows(Scope.JOBS_READ)
    assert not kept.allows(Scope.DATA_READ)
    assert kept.as_json() == {"scopes": ["jobs:write"], "teams": ["a"]}
    assert Limits.from_json(None) is None
