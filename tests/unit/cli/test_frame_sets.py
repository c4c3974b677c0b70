"""frames and approve against the real API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.fixtures.api import FIRST, Reports, now
from tests.unit.api.test_frame_sets import SPEC, folder_of
from tests.unit.cli.conftest import LiveApi
from tests.unit.datasets.video_frames import ORIGIN, new_frames
from thornback.cli.exits import Exit
from thornback.client import Client
from thornback.client import frame_sets as client_frame_sets
from thornback.datasets.image_zip import check_zip
from thornback.jobs.events import EventFactory
from thornback.jobs.state import JobState
from thornback.jobs.video_stages import IN_ORDER, VideoStage

Run = Callable[..., Result]
IN_REVIEW = IN_ORDER.index(VideoStage.REVIEW)


@pytest.fixture
def job(live: LiveApi, tmp_path: Path) -> JobState:
    """A pipeline in review."""
    job = live.run(live.platform.create_spec(SPEC))
    stage = EventFactory(job.id).stage(FIRST, index=IN_REVIEW, name=VideoStage.REVIEW.value, at=now())
    live.record(Reports(job.id).started(), stage)
    folder_of(live.platform, job).write(new_frames(tmp_path / "work"), ORIGIN, for_review=True)
    return job


def only_json(result: Result) -> Any:
    """The one JSON value that is all of stdout."""
    return json.loads(result.stdout)


def test_show(run_cli: Run, job: JobState) -> None:
    result = run_cli("frames", "show")
    assert result.exit_code == 0
    assert "ohwx, number 1" in result.stdout
    assert "near_duplicate" in result.stdout
    assert "2 frames kept, 2 dropped (1 near_duplicate, 1 unreadable); revision 1, in review" in result.stderr
    assert [frame["id"] for frame in only_json(run_cli("frames", "show", "--dropped", "--json"))["frames"]] == [
        "0002",
        "0003",
    ]


def test_a_review(live: LiveApi, run_cli: Run, job: JobState, tmp_path: Path) -> None:
    assert run_cli("frames", "drop", "last", "0001").exit_code == 0
    assert run_cli("frames", "keep", job.id, "0002").exit_code == 0
    changed = only_json(run_cli("frames", "caption", job.id, "0000", "[trigger] in snow", "--json"))
    assert (changed["revision"], changed["frames"][0]["caption"]) == (4, "ohwx in snow")
    assert run_cli("frames", "download", job.id, tmp_path).exit_code == Exit.NOT_FOUND  # there is no ZIP yet
    assert run_cli("frames", "drop", job.id, "0009").exit_code == Exit.USAGE
    assert run_cli("approve", job.id, "--revision", 3).exit_code == Exit.CONFLICT
    assert "approved" in run_cli("approve", job.id, "--revision", 4).stderr

    folder = folder_of(live.platform, job)
    folder.seal()
    folder.pack(tmp_path / "zip")
    assert run_cli("frames", "download", job.id, tmp_path / "fox.zip").exit_code == 0
    assert check_zip(tmp_path / "fox.zip").images == 2


def test_every_page(live: LiveApi, job: JobState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_frame_sets, "MOST", 3)
    with Client(live.url) as client:
        assert [frame.id for frame in client.frame_sets.get(job.id).frames] == ["0000", "0001", "0002", "0003"]
