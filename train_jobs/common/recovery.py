"""Makes a run's folder fit to be gone on with after a crash.

Ray Train keeps its record of checkpoints in one JSON file and writes it in place. A controller that is
killed in that moment leaves half a file, and the next one refuses to start. Then the record is set
aside, and the run goes on from the newest whole checkpoint by our own measure.
"""

from __future__ import annotations

import json

from thornback.artifacts.files import Location, join, locate
from train_jobs.common.launch import TRAIN_NAME
from train_jobs.common.snapshots import STATE, is_whole

RECORD = "checkpoint_manager_snapshot.json"


def repair(run_uri: str) -> str | None:
    """Returns the address of the checkpoint to start from where Ray Train's own record cannot be used."""
    train_uri = join(run_uri, TRAIN_NAME)
    train = locate(train_uri)
    record = train / RECORD
    if _is_sound(train, record):
        return None
    newest: tuple[int, str] | None = None
    for name in train.folders():
        place = train / name
        if is_whole(place):
            step = int(json.loads((place / STATE).read_bytes())["state"]["step"])
            newest = max(newest or (-1, ""), (step, name))
    if record.exists():
        (train / f"{RECORD}.damaged").write_bytes(record.read_bytes())
        record.delete_file()
    return None if newest is None else join(train_uri, newest[1])


def _is_sound(train: Location, record: Location) -> bool:
    """True where the record can be read and every checkpoint it names is there."""
    if not record.exists():
        return False
    try:
        content = json.loads(record.read_bytes())
        names = [result["checkpoint_dir_name"] for result in content["checkpoint_results"]]
    except (ValueError, KeyError, TypeError):
        return False
    return all((train / name).exists() for name in names)
