"""Which of several recorders is responsible for a job. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` recorders that share the jobs."""

    number: int = 0
    count: int = 1

    @property
    def is_alone(self) -> bool:
        """True where there is no other."""
        return self.count == 1


def shard_of(job_id: str, count: int) -> int:
    """The number of the recorder of a job, the same in every process and however the id is written."""
    if count == 1:
        return 0
    try:
        known = UUID(job_id).bytes
    except ValueError:
        known = job_id.encode()  # no job has it, but somebody has to say so
    return zlib.crc32(known) % count
