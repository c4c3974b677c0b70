"""Datasets that pipelines make from videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx2
from pydantic import BaseModel, ConfigDict

from thornback.client.download import fetch_file
from thornback.client.models import Job

JOBS = "/api/v1/training/jobs"
MOST = 2000


class Frame(BaseModel):
    """One frame of the video, kept or dropped."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)

    id: str
    time_s: float
    scene: int
    kept: bool
    reason: str | None = None
    explanation: str = ""
    caption: str = ""
    captioned_by: str = ""
    thumbnail_url: str | None = None
    image_url: str | None = None


class FrameSet(BaseModel):
    """What is trained on, and what was left out."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)

    job_id: str
    revision: int
    in_review: bool
    sealed: bool
    created_at: datetime
    trigger_word: str
    kept: int
    dropped: int
    reasons: Mapping[str, int] = {}
    frames: tuple[Frame, ...] = ()
    total: int


class FrameSets:
    """Calls about them: `client.frame_sets`. Such a dataset goes by the id of its job."""

    def __init__(self, http: httpx2.Client, call: Callable[..., Any]) -> None:
        self._http = http
        self._call = call

    def get(self, job_id: str, *, kept: bool | None = None) -> FrameSet:
        """The dataset with its frames, all or only those that are kept, or dropped.

        Raises:
            NotFound: it is not made yet, or the job makes none.
        """
        params = {"limit": str(MOST)} | ({} if kept is None else {"kept": str(kept).lower()})
        found = FrameSet.model_validate(self._call("GET", f"{JOBS}/{job_id}/dataset", params=params))
        frames = list(found.frames)
        while len(frames) < found.total:
            page = self._call("GET", f"{JOBS}/{job_id}/dataset", params=params | {"offset": str(len(frames))})
            frames += FrameSet.model_validate(page).frames
        return found.model_copy(update={"frames": tuple(frames)})

    def change(self, job_id: str, revision: int, frames: Mapping[str, Mapping[str, Any]]) -> FrameSet:
        """Drop frames, take them back, write captions; answers with the frames that were named.

        Args:
            job_id: of a pipeline that waits for review.
            revision: of the dataset that the changes were made on.
            frames: by id, `{"kept": False}`, `{"caption": "…"}`, or both.

        Raises:
            Conflict: it does not wait for review, or was changed meanwhile.
            InvalidInput: names each frame that cannot be changed so.
        """
        body = {"revision": revision, "frames": {id: dict(change) for id, change in frames.items()}}
        return FrameSet.model_validate(self._call("PATCH", f"{JOBS}/{job_id}/dataset", json=body))

    def approve(self, job_id: str, *, revision: int | None = None) -> Job:
        """End the review; the training begins.

        Args:
            job_id: of a pipeline that waits for review.
            revision: that was looked at; left out: whichever it is by now.

        Raises:
            Conflict: it does not wait for review, or was changed meanwhile.
        """
        body = {} if revision is None else {"revision": revision}
        return Job.model_validate(self._call("POST", f"{JOBS}/{job_id}/approve", json=body)["job"])

    def download(self, job_id: str, target: Path) -> Path:
        """Fetch what was trained on as a ZIP into a file or a folder; returns the file. Raises NotFound."""
        path = f"{JOBS}/{job_id}/dataset/dataset.zip"
        return fetch_file(self._http, path, target, artifact=None, name=f"{job_id}.zip")
