"""What a writer acknowledged is there after kill -9, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.contracts.store.conftest import Store, epoch_row, job_id

_WRITE = """
import sys
from tests.contracts.store.conftest import epoch_row
from thornback.jobs.events import EventFactory
from thornback.store.engine import open_engine
from thornback.store.write import StoreWriter

writer, make = StoreWriter(open_engine(sys.argv[1], writer=True)), EventFactory(sys.argv[2])
epoch = int(sys.argv[3])
while True:
    epoch += 10
    writer.commit([epoch_row(make, n) for n in range(epoch - 10, epoch)])
    print(epoch - 1, flush=True)
"""


def _write_and_kill(store: Store, job: str, first: int, commits: int) -> int:
    """The last epoch that a process acknowledged before it was killed, in the middle of whatever it did then."""
    command = [sys.executable, "-c", _WRITE, store.url, job, str(first)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(60, process.kill)  # a writer that hangs fails the test instead of stopping it
    timer.start()
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(commits)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().splitlines()]
    process.stdout.close()
    process.wait()
    timer.cancel()
    return acknowledged[-1]


@pytest.mark.parametrize("commits", [1, 25])
def test_nothing_acknowledged_is_lost(store: Store, commits: int) -> None:
    make = store.create(config={"epochs": 1000})
    acknowledged = _write_and_kill(store, job_id(make), 1, commits)

    rows = [row.epoch for row in store.reader.metrics(job_id(make), limit=100_000)]
    assert rows == list(range(1, len(rows) + 1))
    assert len(rows) >= acknowledged
    assert len(rows) % 10 == 0  # a commit is there whole or not at all
    state = store.reader.job(job_id(make)).state
    assert state.latest["val_loss"].epoch == len(rows)

    # the sender did not get its answer and sends the last ones again
    again = store.writer.commit([epoch_row(make, n) for n in range(max(1, len(rows) - 15), len(rows) + 4)])
    assert [event.data["epoch"] for event in again.events] == [len(rows) + 1, len(rows) + 2, len(rows) + 3]
