"""Which failures were worth an alert."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fixtures.api import FIRST, ApiPlatform, now
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason
from thornback.settings import AlertRule, Quota

ALERTS = "/api/v1/alerts"


async def fail(api: ApiPlatform, name: str, *, hours_ago: float = 0.0) -> str:
    job = await api.create(name)
    at = now() - timedelta(hours=hours_ago)
    await api.record(EventFactory(job.id).failed(FIRST, reason=FailureReason.DIVERGED, message="NaN", at=at))
    return job.id


async def test_three_failures_within_the_hour_are_told_by_default(api: ApiPlatform) -> None:
    ids = [await fail(api, name) for name in ("one", "two", "three")]
    async with api.client() as client:
        answer = (await client.get(ALERTS)).json()
    [alert] = answer["alerts"]
    assert alert["rule"] == "three within the hour"
    assert (alert["job_id"], alert["job_ids"]) == (ids[2], ids)
    assert alert["message"] == "3 jobs failed within 60 min: one, two, three"
    assert answer["rules"][0]["failures"] == 3


async def test_a_time_is_asked_for_and_the_newest_comes_first(api: ApiPlatform) -> None:
    for hours in (100, 50, 1):
        await fail(api, f"{hours} h ago", hours_ago=hours)
    async with api.client(alerts=[AlertRule(name="all")]) as client:
        since = (now() - timedelta(hours=60)).isoformat().replace("+00:00", "Z")
        alerts = (await client.get(ALERTS, params={"since": since})).json()["alerts"]
    assert [alert["message"].split(" failed")[0] for alert in alerts] == ["job 1 h ago", "job 50 h ago"]


async def test_quotas_that_are_nearly_used_or_used_up(api: ApiPlatform) -> None:
    await api.create("one", user="local")
    async with api.client(quota_user=Quota(jobs=4)) as client:
        assert (await client.get(ALERTS)).json()["quotas"] == []
        await client.put("/api/v1/quotas/user/local", json={"jobs": 1, "usd_day": 0.0})
        [quota] = (await client.get(ALERTS)).json()["quotas"]
    assert (quota["kind"], quota["name"], quota["quota"], quota["is_used_up"]) == ("user", "local", "jobs", True)
    assert quota["message"] == "user local uses 1 of 1 jobs at once"


@pytest.mark.parametrize(
    "params",
    [{"since": "yesterday"}, {"since": "2026-01-02T00:00:00", "until": "2026-01-01T00:00:00"}, {"since": "0001-01-01"}],
)
async def test_a_time_that_is_none_is_refused(api: ApiPlatform, params: dict[str, str]) -> None:
    async with api.client() as client:
        answer = await client.get(ALERTS, params=params)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "since")
