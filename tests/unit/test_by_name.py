"""A process of one release reads what a process of another one sends."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import pytest

from thornback.by_name import ByName
from thornback.jobs import state
from thornback.jobs.state import JobState, Mark
from thornback.jobs.status import JobStatus
from thornback.metrics.port import Recorder


def sent(hint: Any, found: set[type]) -> set[type]:
    """The dataclasses that a type is made of, however deep."""
    if inspect.isclass(hint) and dataclasses.is_dataclass(hint) and hint not in found:
        found.add(hint)
        for inner in get_type_hints(hint).values():
            sent(inner, found)
    for inner in get_args(hint):
        sent(inner, found)
    return found


SENT: set[type] = set()
for _, method in inspect.getmembers(Recorder, inspect.isfunction):
    for given in get_type_hints(method).values():
        sent(given, SENT)


def other_release(fields: list[Any]) -> Any:
    """JobState with other fields, as another release has it."""
    namespace = {"__module__": state.__name__}
    return dataclasses.make_dataclass(
        "JobState", fields, bases=(ByName,), frozen=True, slots=True, kw_only=True, namespace=namespace
    )


def fields_of(cls: Any) -> list[Any]:
    return [
        (
            item.name,
            item.type,
            dataclasses.field(default=item.default, default_factory=item.default_factory),
        )
        for item in dataclasses.fields(cls)
    ]


JOB = JobState(id="job", cancel_requested=True, mark=Mark(2, 0, 3), spec={"a": 1}, started_at=datetime.now(UTC))


def test_newer_code_sends_a_field_that_is_not_known_here(monkeypatch: pytest.MonkeyPatch) -> None:
    # In the middle: by position, everything after it would be read as something else.
    fields = fields_of(JobState)
    newer = other_release([*fields[:12], ("surprise", str, dataclasses.field(default="boo")), *fields[12:]])
    with monkeypatch.context() as patch:
        patch.setattr(state, "JobState", newer)
        sent = pickle.dumps(newer(**{field.name: getattr(JOB, field.name) for field in dataclasses.fields(JOB)}))
    assert pickle.loads(sent) == JOB


def test_older_code_lacks_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    older = other_release([field for field in fields_of(JobState) if field[0] not in ("final", "parked", "parked_at")])
    with monkeypatch.context() as patch:
        patch.setattr(state, "JobState", older)
        sent = pickle.dumps(older(id="job", cancel_requested=True, mark=Mark(2, 0, 3)))
        to_older = pickle.loads(_sent_by_this_release(patch, dataclasses.replace(JOB, final=JobStatus.FAILED), older))
    got = pickle.loads(sent)
    assert (got.final, got.parked, got.cancel_requested, got.mark) == (None, 0, True, Mark(2, 0, 3))
    assert (type(to_older), to_older.id, to_older.cancel_requested) == (older, "job", True)


def _sent_by_this_release(patch: pytest.MonkeyPatch, job: JobState, older: Any) -> bytes:
    patch.setattr(state, "JobState", JobState)
    sent = pickle.dumps(job)
    patch.setattr(state, "JobState", older)
    return sent


@pytest.mark.parametrize("cls", sorted(SENT, key=repr), ids=lambda cls: cls.__qualname__)
def test_whatever_the_recorder_takes_or_gives_is_sent_by_name(cls: Any) -> None:
    assert issubclass(cls, ByName)


def test_a_value_stays_what_it_is() -> None:
    assert pickle.loads(pickle.dumps(JOB)) == JOB
    assert not hasattr(JOB, "__dict__")
