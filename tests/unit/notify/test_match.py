"""Which webhooks are told of what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fixtures.notify import subscription
from thornback.access.sight import Sight
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.jobs.subscriptions import JobFilter, Told
from thornback.notify.match import covers, wants

JOB = JobState(
    id="job",
    kind="lora",
    backend="fal",
    user="ada",
    team="red",
    final=JobStatus.FAILED,
    spec={"tags": {"env": "prod", "run": "7"}},
)


@pytest.mark.parametrize(
    ("wanted", "is_covered"),
    [
        ({}, True),
        ({"kinds": ("lora", "convnext")}, True),
        ({"kinds": ("convnext",)}, False),
        ({"backends": ("fal",)}, True),
        ({"backends": ("ray",)}, False),
        ({"statuses": (JobStatus.FAILED,)}, True),
        ({"statuses": (JobStatus.COMPLETED,)}, False),
        ({"users": ("ada",)}, True),
        ({"users": ("bob",)}, False),
        ({"teams": ("red",)}, True),
        ({"teams": ("blue",)}, False),
        ({"jobs": ("job",)}, True),
        ({"jobs": ("another",)}, False),
        ({"tags": {"env": "prod"}}, True),
        ({"tags": {"env": "prod", "run": "8"}}, False),
        ({"tags": {"more": "x"}}, False),
        ({"kinds": ("lora",), "users": ("bob",)}, False),
    ],
)
def test_filters(wanted: dict[str, Any], is_covered: bool) -> None:
    assert covers(JobFilter(**wanted), JOB) is is_covered


def test_a_job_without_a_team_is_in_no_list_of_teams() -> None:
    assert not covers(JobFilter(teams=("red",)), replace(JOB, team=None))


def test_what_is_wanted_and_may_be_seen() -> None:
    webhook = replace(subscription(events=[Told.FAILED]), from_event=10)
    assert wants(webhook, Told.FAILED, JOB, event_id=11, sight=None)
    assert not wants(webhook, Told.FAILED, JOB, event_id=10, sight=None)  # before it was made
    assert not wants(webhook, Told.CREATED, JOB, event_id=11, sight=None)
    assert not wants(replace(webhook, is_enabled=False), Told.FAILED, JOB, event_id=11, sight=None)
    for sight, may in (
        (Sight(user="ada", shared=False), True),
        (Sight(user="bob"), False),
        (Sight(user="bob", teams=frozenset({"red"})), True),
    ):
        assert wants(webhook, Told.FAILED, JOB, event_id=11, sight=sight) is may
