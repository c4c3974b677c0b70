"""Rules over failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from thornback.jobs.alerts import Alert, Failure, find_alerts, history_needed
from thornback.settings import AlertRule, load_settings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PROD = AlertRule(name="prod", tags={"env": "prod"})
THREE = AlertRule(name="three", failures=3, within_minutes=60)


def failed(minute: float, **changes: Any) -> Failure:
    values: dict[str, Any] = {
        "job_id": f"job-{minute:g}",
        "job_name": f"run {minute:g}",
        "kind": "lora",
        "backend": "replicate",
        "tags": {},
        "at": NOON + timedelta(minutes=minute),
        "reason": "provider_failed",
        "message": "CUDA out of memory",
    }
    return Failure(**(values | changes))


def jobs(alerts: list[Alert]) -> list[str]:
    return [alert.job_id for alert in alerts]


@pytest.mark.parametrize(
    ("minutes", "alarmed"),
    [
        ([0, 10], []),
        ([0, 10, 20], ["job-20"]),
        ([0, 10, 20, 30, 40, 50], ["job-20"]),  # not each one after the third
        ([0, 10, 20, 90, 100, 110], ["job-20", "job-110"]),  # at 90 there is one again
        ([0, 30, 60], []),  # the first is an hour old when the third comes
        ([0, 30, 59.9], ["job-59.9"]),
        ([20, 0, 10], ["job-20"]),  # in whatever order they are told
    ],
)
def test_a_number_within_a_time(minutes: list[float], alarmed: list[str]) -> None:
    assert jobs(find_alerts([THREE], [failed(minute) for minute in minutes])) == alarmed


def test_every_failure_of_a_tag() -> None:
    history = [failed(0), failed(1, tags={"env": "prod", "team": "a"}), failed(2, tags={"env": "prod"})]
    assert jobs(find_alerts([PROD], history)) == ["job-1", "job-2"]


@pytest.mark.parametrize("other", [{"kind": "convnext"}, {"backend": "fal"}, {"reason": "diverged"}])
def test_a_rule_concerns_what_it_names(other: dict[str, str]) -> None:
    mine = {"kind": "lora", "backend": "replicate", "reason": "provider_failed"}
    rule = AlertRule.model_validate({"name": "mine", **{name: mine[name] for name in other}})
    assert jobs(find_alerts([rule], [failed(0), failed(1, **other)])) == ["job-0"]


def test_the_answer_does_not_depend_on_where_the_history_begins() -> None:
    history = [failed(hours * 120 + minute) for hours in range(8) for minute in (0, 25, 50, 62, 75)]
    whole = find_alerts([THREE], history)
    assert len(whole) == 8
    for begin in range(0, 900, 17):
        since = NOON + timedelta(minutes=begin)
        part = [failure for failure in history if failure.at > since - history_needed([THREE])]
        assert [alert for alert in find_alerts([THREE], part) if alert.at > since] == [
            alert for alert in whole if alert.at > since
        ]


def test_the_sentence_says_what_happened() -> None:
    alerts = find_alerts([THREE, PROD], [failed(0), failed(1), failed(2, tags={"env": "prod"})])
    assert {alert.rule: alert.message for alert in alerts} == {
        "three": "3 jobs failed within 60 min: run 0, run 1, run 2",
        "prod": "job run 2 failed: CUDA out of memory",
    }


def test_rules_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THORNBACK_ALERTS", '[{"name": "prod", "tags": {"env": "prod"}}]')
    settings = load_settings()
    assert settings.alerts == [PROD]
    monkeypatch.setenv("THORNBACK_ALERTS", settings.environment()["THORNBACK_ALERTS"])
    assert load_settings().alerts == [PROD]
