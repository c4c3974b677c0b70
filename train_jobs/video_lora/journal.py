"""What a pipeline has finished, so that a later attempt goes on from there.

Each stage leaves one file in the run's folder, written after everything that it speaks of. It holds a key made of
all that the stage's output depends on: the part of the configuration, and the outputs of the stages before it. A
stage counts as finished where the file has the same key, whoever wrote it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from thornback.artifacts.files import join, locate
from thornback.jobs.video_stages import VideoStage

FOLDER = "stages"
VERSION = 1  # of what stages leave behind; another one makes them anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished stage."""

    key: str
    output: Mapping[str, Any]  # JSON-ready
    seconds: float  # that it took
    size: float  # of its work, see StageClock


def key_of(stage: VideoStage, inputs: Mapping[str, Any]) -> str:
    """What the output of a stage depends on, as 64 hex digits. `inputs` are JSON-ready; their order is all one."""
    content = json.dumps([VERSION, stage.name, inputs], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


class Journal:
    """The files of one run."""

    def __init__(self, run_uri: str) -> None:
        self._uri = join(run_uri, FOLDER)

    def find(self, stage: VideoStage, key: str) -> Entry | None:
        """The entry of a stage where it has this key. One that cannot be read is none."""
        place = locate(self._place(stage))
        if not place.exists():
            return None
        try:
            entry = Entry(**json.loads(place.read_bytes()))
        except (ValueError, TypeError):
            return None
        return entry if entry.key == key else None

    def write(self, stage: VideoStage, entry: Entry) -> None:
        """Note that a stage is finished; what it speaks of has to be there already."""
        locate(self._place(stage)).write_bytes(json.dumps(asdict(entry), allow_nan=False).encode())

    def has_mark(self, name: str) -> bool:
        """True where `set_mark` was called, by whichever attempt."""
        return locate(join(self._uri, name)).exists()

    def set_mark(self, name: str) -> None:
        """Note that something was done that must not be done twice."""
        locate(join(self._uri, name)).write_bytes(b"")

    def _place(self, stage: VideoStage) -> str:
        return join(self._uri, f"{stage.name.lower()}.json")
