"""The audit log over the API: what people do is in it, and only admins read it."""

from __future__ import annotations

import json

from tests.fixtures.api import JOBS
from tests.unit.api.test_access import PASSWORD, TEAM, Guarded, guarded
from thornback.access.audit import from_json, verify
from thornback.access.roles import Role

__all__ = ["guarded"]  # the fixture

AUDIT = "/api/v1/audit"


async def test_what_people_do_is_written_down(guarded: Guarded) -> None:
    await guarded.add("carl", Role.TRAINER, password=PASSWORD)
    async with guarded.client() as client:
        await client.post("/api/v1/session", json={"name": "Carl", "password": "wrong password"})
        await client.post("/api/v1/session", json={"name": "carl", "password": PASSWORD})
        job = (await client.post(JOBS, json={"job_name": "x", "config": {}})).json()["id"]
        await client.post(f"{JOBS}/{job}/cancel")
        await client.post("/api/v1/keys", json={"label": "notebook", "role": "viewer"})
        await client.delete("/api/v1/session")
    async with guarded.client("root") as root:
        await root.patch("/api/v1/users/carl", json={"role": "viewer"})
        await root.post("/api/v1/teams", json={"id": "New", "name": "The new ones"})
        await root.put("/api/v1/teams/new/members/carl")
        await root.post("/api/v1/queue/pause", json={"reason": "a node is replaced"})
        page = (await root.get(AUDIT, params={"limit": 10})).json()
        told = [(entry["actor"], entry["action"]) for entry in reversed(page["entries"])]
        assert told == [
            ("carl", "session.refused"),
            ("carl", "session.open"),
            ("carl", "job.create"),
            ("carl", "job.cancel"),
            ("carl", "key.add"),
            ("carl", "session.close"),
            ("root", "user.change"),
            ("root", "team.add"),
            ("root", "team.add_member"),
            ("root", "queue.pause"),
        ]
        assert PASSWORD not in json.dumps(page)
        mine = (await root.get(AUDIT, params={"actor": "carl", "action": "job."})).json()["entries"]
        assert [(entry["action"], entry["target"]) for entry in mine] == [("job.cancel", job), ("job.create", job)]
        older = (await root.get(AUDIT, params={"limit": 2, "before": page["entries"][0]["seq"]})).json()
        assert [entry["seq"] for entry in older["entries"]] == [entry["seq"] for entry in page["entries"][1:3]]
        assert older["next_before"] == older["entries"][-1]["seq"]


async def test_an_export_is_whole_and_says_that_it_was_made(guarded: Guarded) -> None:
    async with guarded.client("root") as root:
        before = (await root.get(f"{AUDIT}/verify")).json()
        assert (before["ok"], before["problem"]) == (True, None)
        lines = (await root.get(f"{AUDIT}.jsonl")).text.splitlines()
        entries = [from_json(json.loads(line)) for line in lines]
        assert verify(entries).problem is None
        assert (entries[-1].actor, entries[-1].action) == ("root", "audit.export")
        assert len(entries) == before["entries"] + 1
        after = (await root.get(f"{AUDIT}/verify", params={"head": before["head"]})).json()
        assert after["ok"]
        other = (await root.get(f"{AUDIT}/verify", params={"head": f"1:{'f' * 64}"})).json()
        assert (other["ok"], "not the one that was noted" in other["problem"]) == (False, True)
        assert (await root.get(f"{AUDIT}/verify", params={"head": "x"})).status_code == 422


async def test_teams_are_seen_by_their_members(guarded: Guarded) -> None:
    async with guarded.client("tess") as tess:
        assert [team["id"] for team in (await tess.get("/api/v1/teams")).json()["teams"]] == [TEAM]
        assert (await tess.get("/api/v1/session")).json()["teams"] == [TEAM]
        assert (await tess.post("/api/v1/teams", json={"id": "x"})).status_code == 403
    async with guarded.client("root") as root:
        assert (await root.post("/api/v1/teams", json={"id": "a b"})).json()["errors"][0]["field"] == "id"
        assert (await root.post("/api/v1/teams", json={"id": TEAM})).status_code == 409
        assert (await root.put(f"/api/v1/teams/{TEAM}/members/nobody")).status_code == 404
        assert (await root.delete(f"/api/v1/teams/{TEAM}/members/tess")).status_code == 204
        users = (await root.get("/api/v1/users")).json()["users"]
        assert {user["name"]: user["teams"] for user in users}["tess"] == []
        assert (await root.delete("/api/v1/teams/audio")).status_code == 204
