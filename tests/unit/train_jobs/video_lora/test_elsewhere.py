from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from thornback.errors import Unavailable
from thornback.media.cache import MediaCache
from thornback.settings import Settings
from train_jobs.video_lora.elsewhere import VideoAt, brought

CONTENT = b"a video" * 1000


def video(tmp_path: Path, content: bytes = CONTENT) -> VideoAt:
    stored = tmp_path / "store" / "temp" / "job" / "video"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(content)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return VideoAt(path="/nowhere/x.mp4", sha256=sha256, size_bytes=len(CONTENT), uri=str(stored))


def test_a_machine_copies_a_video_once(tmp_path: Path) -> None:
    settings, at = Settings(home=tmp_path / "home"), video(tmp_path)
    with brought(at, settings) as first:
        assert first.read_bytes() == CONTENT
    Path(str(at.uri)).unlink()
    with brought(at, settings) as second:
        assert second == first
        MediaCache(tmp_path / "home" / "media", max_bytes=0).make_room()
        assert second.read_bytes() == CONTENT  # it is held


def test_a_damaged_copy_is_not_used(tmp_path: Path) -> None:
    settings, at = Settings(home=tmp_path / "home"), video(tmp_path, CONTENT[:-1] + b"?")
    with pytest.raises(Unavailable, match="came damaged"), brought(at, settings):
        raise AssertionError("it was used")


def test_what_is_not_there_may_come(tmp_path: Path) -> None:
    settings, at = Settings(home=tmp_path / "home"), video(tmp_path)
    Path(str(at.uri)).unlink()
    with pytest.raises(Unavailable, match="not in the storage"), brought(at, settings):
        raise AssertionError("it was used")
