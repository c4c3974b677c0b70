"""Quotas and the ledger over HTTP."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Any

from tests.fixtures.api import JOBS, ApiPlatform, Reports, now
from tests.fixtures.remote import IMAGE_SET, LORA, Told
from thornback.settings import Quota
from thornback.spend.quotas import Holder, SetQuota

QUOTAS = "/api/v1/quotas"
SPEND = "/api/v1/reports/spend"
LEDGER = "/api/v1/reports/ledger"
CPU = {"job_name": "small", "config": {"accelerator": "cpu"}}


async def limited(api: ApiPlatform, **limits: Any) -> None:
    """What an admin sets for the one user that there is without access control."""
    async with api.client() as client:
        assert (await client.put(f"{QUOTAS}/user/local", json=limits)).status_code == 200


async def test_blocked_at_the_cap_with_a_problem_that_says_all(api: ApiPlatform) -> None:
    await limited(api, jobs=1, usd_month=100)
    async with api.client() as client:
        first = await client.post(JOBS, json=CPU)
        assert first.status_code == 201
        refused = await client.post(JOBS, json=CPU)
        assert refused.status_code == 429
        assert "Retry-After" not in refused.headers
        problem = refused.json()
        assert problem["code"] == "quota_exceeded"
        assert (problem["quota"], problem["used"], problem["limit"], problem["resets_at"]) == ("jobs", 1, 1, None)
        assert (problem["holder"], problem["lifted_by"]) == ({"kind": "user", "name": "local"}, "an admin")
        await api.record(Reports(first.json()["id"]).succeeded())
        assert (await client.post(JOBS, json=CPU)).status_code == 201


async def test_money_is_402_and_says_when_it_begins_anew(api: ApiPlatform) -> None:
    await limited(api, usd_day=0.5, usd_month=0.5)
    async with api.client(replicate_api_token="r8_test") as client:
        refused = await client.post(JOBS, json=dict(LORA))
        assert refused.status_code == 402
        problem = refused.json()
        assert (problem["code"], problem["quota"], problem["limit"]) == ("spend_exceeded", "usd_day", 0.5)
        assert problem["wanted"] > 0.5
        assert problem["resets_at"].endswith("T00:00:00+00:00")
        assert 0 < int(refused.headers["Retry-After"]) <= 86_400
        assert (await client.get(JOBS)).json()["total"] == 0
        assert (await client.get(LEDGER)).json() == {"rows": [], "next_after": None}


async def test_retries_and_image_sets_are_counted_like_any_job(api: ApiPlatform) -> None:
    job = await api.create_spec(LORA)
    await api.record(Told(job).facts(cost_usd=0.5), Told(job).succeeded())
    await limited(api, usd_month=0.51)
    async with api.client(replicate_api_token="r8_test") as client:
        again = await client.post(f"{JOBS}/{job.id}/retry", json={})
        images = await client.post("/api/v1/image-sets", json={"backend": "replicate", **IMAGE_SET["config"]})
    assert [(one.status_code, one.json()["used"]) for one in (again, images)] == [(402, 0.5), (402, 0.5)]


async def test_a_warning_stands_in_the_answer(api: ApiPlatform) -> None:
    await limited(api, jobs=5)
    async with api.client() as client:
        answers = [await client.post(JOBS, json=CPU) for _ in range(5)]
    warned = [answer.headers.get("Thornback-Quota-Warning") for answer in answers]
    assert warned == [None, None, None, "user local uses 4 of 5 jobs at once", None]


async def test_set_seen_and_cleared(api: ApiPlatform) -> None:
    async with api.client(quota_user=Quota(jobs=7, usd_day=20.0)) as client:
        mine = (await client.get(f"{QUOTAS}/mine")).json()["quotas"]
        assert [(one["kind"], one["name"], one["own"]) for one in mine] == [("user", "local", None)]
        assert mine[0]["limits"] == {
            "jobs": 7,
            "gpu_hours": None,
            "storage_bytes": None,
            "usd_day": 20.0,
            "usd_month": None,
        }
        body = {"usd_day": None, "storage_bytes": 1000, "note": "until the fair"}
        ada = (await client.put(f"{QUOTAS}/user/ada", json=body)).json()
        assert (ada["limits"]["jobs"], ada["limits"]["usd_day"], ada["limits"]["storage_bytes"]) == (7, None, 1000)
        assert (ada["own"]["set_by"], ada["own"]["note"]) == ("local", "until the fair")
        assert [level["quota"] for level in ada["levels"]] == ["jobs", "storage_bytes"]
        # more a day than the settings allow ends with the day
        assert ada["own"]["ends_at"] == f"{now().date() + timedelta(days=1)}T00:00:00Z"
        listed = (await client.get(QUOTAS)).json()
        assert [(one["kind"], one["name"]) for one in listed["set_for"]] == [("user", "ada")]
        assert (await client.delete(f"{QUOTAS}/user/ada")).json()["own"] is None
        assert (await client.get(QUOTAS)).json()["set_for"] == []
        wrong = await client.put(f"{QUOTAS}/user/ada", json={"jobs": -1})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "jobs")
        assert (await client.put(f"{QUOTAS}/team/none", json={"jobs": 1})).status_code == 404
        assert (await client.put(f"{QUOTAS}/crowd/none", json={"jobs": 1})).status_code == 422


async def test_what_is_lifted_ends_and_what_is_lowered_stays(api: ApiPlatform) -> None:
    async with api.client(quota_user=Quota(jobs=1)) as client:
        lowered = (await client.put(f"{QUOTAS}/user/local", json={"jobs": 0, "usd_day": 5.0})).json()
        assert lowered["own"]["ends_at"] is None
        past = await client.put(f"{QUOTAS}/user/local", json={"jobs": 2, "until": "2020-01-01T00:00:00Z"})
        assert (past.status_code, past.json()["errors"][0]["field"]) == (422, "until")
        soon = now() + timedelta(hours=1)
        lifted = (await client.put(f"{QUOTAS}/user/local", json={"jobs": 2, "until": soon.isoformat()})).json()
        assert datetime.fromisoformat(lifted["own"]["ends_at"]) == soon
        assert [(await client.post(JOBS, json=CPU)).status_code for _ in range(3)] == [201, 201, 429]
        # as an hour later
        ended = SetQuota(holder=Holder("user", "local"), limits={"jobs": 9}, note="", by="x", at=now(), ends_at=now())
        await api.recorder.administer(ended)
        assert (await client.get(f"{QUOTAS}/mine")).json()["quotas"][0]["limits"]["jobs"] == 1
        assert (await client.get(QUOTAS)).json()["set_for"] == []


async def spent(api: ApiPlatform) -> None:
    """Two of three orders have ended."""
    for user, cost in (("ada", 0.125), ("ada", 0.25), ("bob", None)):
        job = await api.create_spec(LORA, user=user)
        if cost is not None:
            await api.record(Told(job).facts(cost_usd=cost), Told(job).succeeded())


async def test_spend_by_user_provider_and_job_is_the_ledger_to_the_cent(api: ApiPlatform) -> None:
    await spent(api)
    async with api.client() as client:
        by_user = (await client.get(SPEND, params={"by": "user"})).json()["rows"]
        by_job = (await client.get(SPEND, params={"by": ["job_id", "backend"]})).json()["rows"]
        [all_of_it] = (await client.get(SPEND, params={"by": []})).json()["rows"][:1]
        rows = (await client.get(LEDGER)).json()["rows"]
        page = (await client.get(LEDGER, params={"limit": 2})).json()
        rest = (await client.get(LEDGER, params={"after": page["next_after"]})).json()["rows"]
        usage = (await client.get("/api/v1/reports/usage", params={"by": "user"})).json()["rows"]
        table = await client.get(SPEND, params={"by": "user", "format": "csv"})
        whole = await client.get(LEDGER, params={"format": "csv", "user": "ada"})
    assert [(row["user"], row["charged_usd"], row["jobs"]) for row in by_user] == [("ada", 0.375, 2), ("bob", 0.0, 1)]
    assert by_user[1]["reserved_usd"] > 0
    assert {row["backend"] for row in by_job} == {"replicate"}
    assert sum(row["charged_usd"] for row in by_job) == 0.375
    assert all_of_it["user"] == "ada"
    total = sum(round(row["usd"] * 1_000_000) for row in rows)
    assert total == round(0.375 * 1e6) + round(by_user[1]["reserved_usd"] * 1e6)
    assert page["rows"] + rest == rows
    assert {row["user"]: row["settled_usd"] for row in usage} == {"ada": 0.375, "bob": None}
    parsed = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["user"], row["charged_usd"]) for row in parsed] == [("ada", "0.375"), ("bob", "0.0")]
    assert table.headers["content-disposition"] == 'attachment; filename="spend.csv"'
    entries = [row["entry"] for row in csv.DictReader(io.StringIO(whole.text))]
    assert entries == ["reserved", "released", "charged"] * 2
