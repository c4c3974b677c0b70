from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import join, locate
from thornback.artifacts.layout import lora_uri, temp_uri
from thornback.artifacts.sweep import Swept, is_stale, sweep

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HALF = ".model.safetensors.0123456789ab.partial"


def put(uri: str, *, hours_ago: float, content: bytes = b"x") -> Path:
    """A file of that age."""
    path = Path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    age(path, hours_ago)
    return path


def age(path: Path, hours_ago: float) -> None:
    at = (NOW - timedelta(hours=hours_ago)).timestamp()
    os.utime(path, (at, at))


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, False), (23.9, False), (24, False), (24.1, True), (500, True), (-1, False)]
)
def test_a_day_is_a_day(hours: float, expected: bool) -> None:
    assert is_stale(NOW - timedelta(hours=hours), now=NOW) is expected


def test_what_has_no_time_stays() -> None:
    assert not is_stale(None, now=NOW)


def test_only_old_temporary_files_go(tmp_path: Path) -> None:
    storage = str(tmp_path)
    old = put(join(temp_uri(storage, "job-1"), "frames", "1.jpg"), hours_ago=25, content=b"four")
    half = put(join(temp_uri(storage, "job-1"), HALF), hours_ago=30)
    fresh = put(join(temp_uri(storage, "job-2"), "1.jpg"), hours_ago=23)
    model = put(join(lora_uri(storage, "ada", "job-1", 1), "model.safetensors"), hours_ago=900)
    dead = put(join(lora_uri(storage, "ada", "job-1", 1), HALF), hours_ago=25)
    alive = put(join(lora_uri(storage, "ada", "job-1", 2), HALF), hours_ago=1)
    outside = put(str(tmp_path.parent / "outside"), hours_ago=900)
    (Path(temp_uri(storage, "job-2")) / "link").symlink_to(outside.parent)
    for folder in (old.parent, old.parent.parent, fresh.parent):
        age(folder, 25)

    assert sweep(storage, now=NOW) == Swept(files=3, size_bytes=6)
    assert [path.exists() for path in (old, half, fresh, model, dead, alive, outside)] == [
        False,
        False,
        True,
        True,
        False,
        True,
        True,
    ]
    assert old.parent.exists()  # deleting in it made it fresh
    for folder in (old.parent, old.parent.parent):
        age(folder, 25)
        assert sweep(storage, now=NOW) == Swept()
        assert not folder.exists()
    assert fresh.exists()


def test_an_empty_storage_is_swept_too(tmp_path: Path) -> None:
    assert sweep(str(tmp_path / "missing"), now=NOW) == Swept()


def test_s3_is_swept_the_same(s3: S3Server) -> None:
    storage = s3.uri(s3.make_bucket(), "base")
    for uri in (join(temp_uri(storage, "job"), "a"), join(temp_uri(storage, "job"), "b"), join(storage, "tempo")):
        locate(uri).write_bytes(b"xy")
    assert sweep(storage, now=datetime.now(UTC) + timedelta(hours=23)) == Swept()
    assert sweep(storage, now=datetime.now(UTC) + timedelta(hours=25)) == Swept(files=2, size_bytes=4)
    assert [entry.path for entry in locate(storage).files()] == ["tempo"]
