from __future__ import annotations

import pytest

from thornback.backends.port import Phase, Resources, job_of, submission_id

JOB = "d47d7ff0-5b77-4094-b12b-a50a72558504"


@pytest.mark.parametrize(("attempt", "name"), [(1, f"thornback-{JOB}"), (2, f"thornback-{JOB}-2")])
def test_a_submission_id_can_be_read_back(attempt: int, name: str) -> None:
    assert submission_id(JOB, attempt) == name
    assert job_of(name) == (JOB, attempt)


@pytest.mark.parametrize("tail", ["", "short", f"{JOB}-", f"{JOB}-x"])
def test_other_names_are_not_ours(tail: str) -> None:
    assert job_of(f"thornback-{tail}") is None
    assert job_of(f"raysubmit_{tail}") is None


def test_only_pending_and_running_are_alive() -> None:
    assert {phase for phase in Phase if phase.is_alive} == {Phase.PENDING, Phase.RUNNING}


def test_resources_add_up() -> None:
    assert Resources(1, 2) + Resources(3, 4) - Resources(2, 1) == Resources(2, 5)
    assert Resources(1, 0.5) * 4 == Resources(4, 2)
