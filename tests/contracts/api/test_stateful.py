"""Made-up requests that follow one another: what one answers is what the next one asks for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contracts.api.test_openapi import ENDLESS, EXCLUDED, STREAMS, LiveApi
from tests.contracts.api.test_openapi import live as live_fixture

live = live_fixture


def run(live: LiveApi, *, examples: int, steps: int) -> int:
    """Let it go; returns how many requests were sent."""
    sent = 0
    document = live.document.exclude(path=ENDLESS)
    for stream in STREAMS:
        document = document.exclude(path_regex=rf"{stream}$")
    base: Any = document.as_state_machine()

    class Machine(base):  # type: ignore[misc]
        def validate_response(self, response: Any, case: Any, **options: Any) -> None:
            nonlocal sent
            sent += 1
            case.validate_response(response, excluded_checks=EXCLUDED)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
    return sent


def test_a_few_walks(live: LiveApi) -> None:
    assert run(live, examples=3, steps=5) > 0


@pytest.mark.slow
def test_many_walks(live: LiveApi) -> None:
    assert run(live, examples=150, steps=20) > 1000
