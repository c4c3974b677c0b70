"""Which calls a fault befalls."""

from __future__ import annotations

from typing import Any

import pytest

from thornback.simulator.faults import ORDER_FAULTS, REQUEST_FAULTS, Faults


def test_it_befalls_the_next_matching_calls_and_no_more() -> None:
    faults = Faults()
    faults.add("drop", on="replicate.*.create", times=2, skip=1)
    calls = ["fal.requests.create", *["replicate.trainings.create"] * 4]
    assert [faults.take(call, REQUEST_FAULTS) is not None for call in calls] == [False, False, True, True, False]
    assert faults.pending() == []


def test_one_that_stays_is_there_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add("drop", times=None)
    assert all(faults.take("fal.requests.create", REQUEST_FAULTS) for _ in range(5))
    faults.clear()
    assert faults.take("fal.requests.create", REQUEST_FAULTS) is None


def test_one_call_takes_one_fault_but_an_order_all_of_its_own() -> None:
    faults = Faults()
    for kind in ("drop", "lost_answer", "stuck", "control_characters", "stuck"):
        faults.add(kind)
    first = faults.take("fal.requests.create", REQUEST_FAULTS)
    assert first is not None
    assert first.kind == "drop"
    assert faults.take_all("fal.requests.create", ORDER_FAULTS) == {"stuck", "control_characters"}
    assert [fault["kind"] for fault in faults.pending()] == ["lost_answer"]


@pytest.mark.parametrize(("kind", "options"), [("explode", {}), ("drop", {"wheels": 4})])
def test_what_is_no_fault_is_refused(kind: str, options: Any) -> None:
    with pytest.raises(ValueError, match=r"explode|wheels"):
        Faults().add(kind, **options)
