"""JobState to JSON and back."""

from __future__ import annotations

from dataclasses import fields

import orjson
import pytest
from hypothesis import given

from tests.unit.jobs.histories import JOB_ID, histories
from thornback.jobs.events import JobEvent
from thornback.jobs.reduce import reduce_all
from thornback.jobs.state import JobState
from thornback.store.state_codec import decode_state, encode_state


@given(history=histories())
def test_a_state_survives_json(history: list[JobEvent]) -> None:
    state = reduce_all(JobState(id=JOB_ID), history)
    assert decode_state(orjson.loads(orjson.dumps(encode_state(state)))) == state


def test_every_field_is_written() -> None:
    assert set(encode_state(JobState(id=JOB_ID))) == {field.name for field in fields(JobState)}


@pytest.mark.parametrize("name", [field.name for field in fields(JobState) if field.name != "id"])
def test_a_missing_field_has_its_default(name: str) -> None:
    data = encode_state(JobState(id=JOB_ID))
    del data[name]
    assert decode_state(data) == JobState(id=JOB_ID)


def test_fields_of_a_newer_release_are_ignored() -> None:
    assert decode_state({**encode_state(JobState(id=JOB_ID)), "from_the_future": 1}) == JobState(id=JOB_ID)
