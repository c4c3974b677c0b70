"""Resumable uploads on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from serve_apps.api.schemas import EXAMPLE_ID, Wire


class UploadOut(Wire):
    """One upload: how much of it is here, and what it is once it is whole."""

    id: str = Field(examples=[EXAMPLE_ID])
    uri: str = Field(
        examples=[f"upload:{EXAMPLE_ID}"], description="For `config.dataset` or a video's address, once it is `ready`."
    )
    state: Literal["receiving", "checking", "ready", "refused"] = Field(
        description="`checking`: every byte is here; an empty PATCH has it checked where that was interrupted."
    )
    offset: int = Field(description="Bytes that are here.")
    length: int = Field(description="Bytes that it has.")
    filename: str | None
    created_at: datetime
    expires_at: datetime = Field(description="Removed then, unless more of it arrives. What is `ready` stays usable.")
    content: Literal["pictures", "video"] | None = Field(description="What it is, by its bytes.")
    images: int | None
    captions: int | None
    video: dict[str, Any] | None = Field(description="Of a video: its length, size and frames per second.")
    sha256: str | None
    problem: str | None = Field(description="Why it was refused.")
