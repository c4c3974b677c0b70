from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest
from ray.exceptions import WorkerCrashedError

from thornback.errors import DataError, FetchFailed, NotFound, ProviderUnavailable, StorageUnavailable, Unavailable
from train_jobs.video_lora.patience import WAITS_S, is_transient, patiently


class Work:
    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return "done"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unavailable("away"), True),
        (StorageUnavailable("S3 is away"), True),
        (ProviderUnavailable("away"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (WorkerCrashedError(), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (DataError("no video"), False),
        (FetchFailed("403"), False),
        (NotFound("gone"), False),
        (FileNotFoundError("gone"), False),
        (PermissionError("no"), False),
        (ValueError("a mistake of ours"), False),
    ],
)
def test_what_is_worth_another_try(error: Exception, expected: bool) -> None:
    assert is_transient(error) is expected


async def test_faults_that_pass_cost_a_try_each() -> None:
    work = Work(Unavailable("S3 is away"), ConnectionResetError("reset"))
    told: list[str] = []
    assert await patiently(work, say=told.append, waits_s=[0, 0, 0]) == "done"
    assert work.calls == 3
    assert told == ["S3 is away; again in 0 s", "ConnectionResetError: reset; again in 0 s"]


@pytest.mark.parametrize(
    ("faults", "calls"), [([Unavailable("away")] * 9, 4), ([Unavailable("away"), DataError("no video")], 2)]
)
async def test_there_is_an_end_to_it(faults: Sequence[Exception], calls: int) -> None:
    work = Work(*faults)
    with pytest.raises(type(faults[-1])):
        await patiently(work, say=lambda fault: None, waits_s=[0, 0, 0])
    assert work.calls == calls


def test_it_waits_longer_each_time() -> None:
    assert list(WAITS_S) == sorted(WAITS_S)
