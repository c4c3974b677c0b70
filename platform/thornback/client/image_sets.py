"""Image sets: N pictures of a character, made at a provider."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from thornback.client.download import fetch_file
from thornback.client.models import ImageSet, ImageSetPage

IMAGE_SETS = "/api/v1/image-sets"
PAGE = 100


class ImageSets:
    """Calls about image sets: `client.image_sets`. A set is a job too: `client.watch(image_set.id)`."""

    def __init__(self, http: httpx2.Client, call: Callable[..., Any]) -> None:
        self._http = http
        self._call = call

    def create(
        self, character: str, prompts: Sequence[str] = (), *, idempotency_key: str | None = None, **fields: Any
    ) -> ImageSet:
        """Order a set; all its images are made at once.

        Args:
            character: who or what is on them; names the files.
            prompts: one image each, unless `count` says more; or else `prompt_template` and `count`.
            idempotency_key: the same key makes the same set only once; by default a fresh one.
            fields: prompt_template, variables, count, model, seed, backend, job_name and so on.

        Raises:
            InvalidInput: `details["errors"]` names each field.
            IdempotencyConflict: the key came before with another body.
        """
        body = {"character": character, **({"prompts": list(prompts)} if prompts else {}), **fields}
        return self.create_from(body, idempotency_key=idempotency_key)

    def create_from(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> ImageSet:
        """Order a set from all its fields, as they stand in a file."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return ImageSet.model_validate(self._call("POST", IMAGE_SETS, json=dict(body), headers=headers))

    def get(self, set_id: str) -> ImageSet:
        """One set with its images. Raises JobNotFound, and NotFound for a job that is none."""
        return ImageSet.model_validate(self._call("GET", f"{IMAGE_SETS}/{set_id}"))

    def list(self, *, limit: int | None = None) -> Iterator[ImageSet]:
        """All sets, the newest first, without their images; fetched page by page as they are used."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            params = {"limit": str(PAGE if left is None else min(PAGE, left))} | ({"cursor": cursor} if cursor else {})
            page = ImageSetPage.model_validate(self._call("GET", IMAGE_SETS, params=params))
            yield from page.image_sets
            left = None if left is None else left - len(page.image_sets)
            cursor = page.next_cursor
            if cursor is None:
                return

    def cancel(self, set_id: str) -> ImageSet:
        """Order nothing more; what is stored stays. Raises JobNotFound, JobIsFinal."""
        return ImageSet.model_validate(self._call("POST", f"{IMAGE_SETS}/{set_id}/cancel"))

    def download(self, set_id: str, target: Path, *, trigger_word: str | None = None) -> Path:
        """Fetch what is stored, with captions, as a ZIP into a file or a folder; returns the file.

        Args:
            set_id: the set.
            target: a file, or a folder that exists.
            trigger_word: put in front of captions that do not hold it.

        Raises:
            NotFound: it has no image yet.
        """
        query = f"?{httpx2.QueryParams(trigger_word=trigger_word)}" if trigger_word else ""
        path = f"{IMAGE_SETS}/{set_id}/images.zip{query}"
        return fetch_file(self._http, path, target, artifact=None, name=f"{set_id}.zip")

    def image(self, set_id: str, number: int, target: Path) -> Path:
        """Fetch one image into a file or a folder; returns the file. Raises NotFound."""
        path = f"{IMAGE_SETS}/{set_id}/images/{number}"
        return fetch_file(self._http, path, target, artifact=None, name=f"{set_id}_{number:02d}.jpg")
