"""Models and their versions: what was trained, again and again, under one name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2

from thornback.client.download import fetch_file
from thornback.client.models import Artifact, Comparison, Model, ModelPage, ModelVersion, VersionPage
from thornback.jobs.versions import LATEST

MODELS = "/api/v1/models"
PAGE = 100
COPY_S = 600.0  # the file is copied and checked while a version is added


class Models:
    """Calls about models: `client.models`. A version is named by its number or by an alias such as `production`."""

    def __init__(self, http: httpx2.Client, call: Callable[..., Any]) -> None:
        self._http = http
        self._call = call

    def list(self, *, limit: int | None = None) -> Iterator[Model]:
        """All models, the newest first; fetched page by page as they are used."""
        for page in self._pages(MODELS, limit):
            yield from ModelPage.model_validate(page).models

    def get(self, model: str) -> Model:
        """One model with its latest version and its aliases. Raises NotFound."""
        return Model.model_validate(self._call("GET", f"{MODELS}/{model}"))

    def versions(self, model: str, *, limit: int | None = None) -> Iterator[ModelVersion]:
        """All versions of a model, the newest first. Raises NotFound."""
        for page in self._pages(f"{MODELS}/{model}/versions", limit):
            yield from VersionPage.model_validate(page).versions

    def version(self, model: str, version: int | str = LATEST) -> ModelVersion:
        """One version; its `model_url` holds for a while. Raises NotFound."""
        return ModelVersion.model_validate(self._call("GET", f"{MODELS}/{model}/versions/{version}"))

    def add(self, model: str, job_id: str) -> ModelVersion:
        """Make a finished LoRA training the next version; the one that it is where that was done before.

        Raises:
            JobNotFound: there is no such job.
            Conflict: it has not completed, made no LoRA, or is a version of another model.
            DataError: its file is broken.
        """
        body = {"job_id": job_id}
        return ModelVersion.model_validate(self._call("POST", f"{MODELS}/{model}/versions", json=body, timeout=COPY_S))

    def compare(self, model: str, a: int | str, b: int | str = LATEST) -> Comparison:
        """What differs between two versions, field by field. Raises NotFound."""
        params = {"a": str(a), "b": str(b)}
        return Comparison.model_validate(self._call("GET", f"{MODELS}/{model}/compare", params=params))

    def lineage(self, model: str, version: int | str = LATEST) -> Mapping[str, Any]:
        """The job, the dataset with its frames, and the video that a version comes from. Raises NotFound."""
        answer: Mapping[str, Any] = self._call("GET", f"{MODELS}/{model}/versions/{version}/lineage")
        return answer

    def set_alias(self, model: str, alias: str, version: int) -> Model:
        """Let a word mean a version, which cannot be deleted as long as it does. Raises NotFound, InvalidInput."""
        body = {"version": version}
        return Model.model_validate(self._call("PUT", f"{MODELS}/{model}/aliases/{alias}", json=body))

    def remove_alias(self, model: str, alias: str) -> None:
        """The version stays; an alias that is not there is no error. Raises NotFound for the model."""
        self._call("DELETE", f"{MODELS}/{model}/aliases/{alias}")

    def note(self, model: str, version: int | str, notes: str) -> ModelVersion:
        """Replace the notes of a version. Raises NotFound, InvalidInput."""
        answer = self._call("PATCH", f"{MODELS}/{model}/versions/{version}", json={"notes": notes})
        return ModelVersion.model_validate(answer)

    def delete(self, model: str, version: int | str) -> None:
        """Remove a version and its files. Raises NotFound, and VersionInUse."""
        self._call("DELETE", f"{MODELS}/{model}/versions/{version}")

    def download(self, model: str, version: int | str, target: Path) -> Path:
        """Fetch the weights into a file or a folder; complete and with their checksum right, or not at all.

        Raises:
            NotFound: there is no such version.
            DownloadCorrupt: what arrived is not what the job wrote.
        """
        found = self.version(model, version)
        suffix = PurePosixPath(found.storage_key).suffix or ".safetensors"
        name = f"{found.model}-v{found.version}{suffix}"
        wanted = Artifact(
            name=name,
            type="onnx" if suffix == ".onnx" else "lora",
            uri=found.storage_key,
            size_bytes=found.size_bytes,
            sha256=found.sha256,
        )
        if _origin(found.model_url) == _origin(str(self._http.base_url)):
            return fetch_file(self._http, found.model_url, target, artifact=wanted, name=name)
        # The link says all; what we send along to our server is no business of another one's.
        with httpx2.Client(timeout=self._http.timeout) as http:
            return fetch_file(http, found.model_url, target, artifact=wanted, name=name)

    def _pages(self, path: str, limit: int | None) -> Iterator[Any]:
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self._call("GET", path, params={"limit": str(size)} | ({"cursor": cursor} if cursor else {}))
            yield page
            left = None if left is None else left - size
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = httpx2.URL(url)
    return parts.scheme, parts.host, parts.port
