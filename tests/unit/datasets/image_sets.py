"""An image set that was made, as the store would tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.unit.datasets.pictures_made import picture
from thornback.artifacts.files import locate
from thornback.artifacts.layout import image_uri
from thornback.errors import JobNotFound
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.reduce import reduce
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState

NOW = datetime(2026, 5, 4, tzinfo=UTC)
SET_ID = "01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11"


@dataclass(frozen=True, slots=True)
class Row:
    """What a reader gives for a job."""

    state: JobState


@dataclass(frozen=True, slots=True)
class SetOf:
    """A reader that knows one image set."""

    state: JobState
    stored: Sequence[ItemState] = ()

    def job(self, job_id: str) -> Row:
        if job_id != self.state.id:
            raise JobNotFound(job_id)
        return Row(self.state)

    def items(self, job_id: str) -> Sequence[ItemState]:
        return self.stored


def image_set(
    storage: str, prompts: Sequence[str], *, is_over: bool = True, failed: frozenset[int] = frozenset()
) -> SetOf:
    """A set whose pictures lie in `storage`; those in `failed` (numbers from 1) do not."""
    config = {"character": "Mira", "prompts": list(prompts)}
    spec = parse_spec({"kind": "image_set", "backend": "replicate", "job_name": "a set", "config": config})
    factory = EventFactory(SET_ID)
    events = [factory.created(spec.model_dump(mode="json"), user="local", at=NOW)]
    events += [factory.succeeded(Attempt(), at=NOW)] if is_over else []
    state = JobState(id=SET_ID)
    for event in events:
        state = reduce(state, event)
    return SetOf(state, [_item(storage, number, number not in failed) for number in range(1, len(prompts) + 1)])


def _item(storage: str, number: int, is_stored: bool) -> ItemState:
    if not is_stored:
        return ItemState(job_id=SET_ID, item=number, status=ItemStatus.FAILED, error="the provider said no")
    uri = image_uri(storage, SET_ID, "Mira", number)
    locate(uri).write_bytes(picture("JPEG", (24 + number, 16)))
    return ItemState(job_id=SET_ID, item=number, status=ItemStatus.STORED, uri=uri)


def stored_in(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
