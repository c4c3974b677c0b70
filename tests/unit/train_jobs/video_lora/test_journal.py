from __future__ import annotations

from pathlib import Path

import pytest

from thornback.jobs.video_stages import VideoStage
from train_jobs.video_lora.journal import Entry, Journal, key_of

KEY = key_of(VideoStage.FETCH, {"video_url": "https://x/y.mp4"})
ENTRY = Entry(key=KEY, output={"sha256": "ab"}, seconds=1.5, size=30.0)


def test_what_was_finished_is_found_by_the_next_attempt(tmp_path: Path) -> None:
    Journal(str(tmp_path)).write(VideoStage.FETCH, ENTRY)
    assert Journal(str(tmp_path)).find(VideoStage.FETCH, KEY) == ENTRY


def test_another_content_is_not_finished(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.write(VideoStage.FETCH, ENTRY)
    assert journal.find(VideoStage.FETCH, key_of(VideoStage.FETCH, {"video_url": "https://x/z.mp4"})) is None
    assert journal.find(VideoStage.FRAMES, KEY) is None


def test_a_key_is_that_of_its_content_alone() -> None:
    assert key_of(VideoStage.STORE, {"a": 1, "b": [2]}) == key_of(VideoStage.STORE, {"b": [2], "a": 1})
    keys = {key_of(stage, {"a": value}) for stage in (VideoStage.STORE, VideoStage.TRAIN) for value in (1, "1", None)}
    assert len(keys) == 6


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": "x"}', b"null"])
def test_a_broken_entry_is_none(tmp_path: Path, content: bytes) -> None:
    journal = Journal(str(tmp_path))
    journal.write(VideoStage.FETCH, ENTRY)
    (tmp_path / "stages" / "fetch.json").write_bytes(content)
    assert journal.find(VideoStage.FETCH, KEY) is None


def test_a_mark_stays(tmp_path: Path) -> None:
    assert not Journal(str(tmp_path)).has_mark("made")
    Journal(str(tmp_path)).set_mark("made")
    assert Journal(str(tmp_path)).has_mark("made")
