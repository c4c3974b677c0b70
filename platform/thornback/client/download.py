"""Fetching an artifact: complete and right, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import httpx2

from thornback.client.models import Artifact
from thornback.client.problems import error_of, unreachable
from thornback.errors import ThornbackError


class DownloadCorrupt(ThornbackError):
    """The bytes that arrived are not those that the job wrote."""

    code = "download_corrupt"


def fetch_file(http: httpx2.Client, path: str, target: Path, *, artifact: Artifact | None, name: str) -> Path:
    """Stream `path` into `target` (a file, or a folder that exists); returns the file.

    The file appears under its name when its size and SHA-256 are as the job stated them.
    """
    file = target / PurePosixPath(name).name if target.is_dir() else target
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    digest = hashlib.sha256()
    size = 0
    try:
        with http.stream("GET", path) as response:
            if not response.is_success:
                response.read()
                raise error_of(response)
            with partial.open("wb") as output:
                for chunk in response.iter_bytes():
                    output.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
        _verify(artifact, name, size, digest.hexdigest())
        return partial.replace(file)
    except httpx2.TransportError as error:
        raise unreachable(error, str(http.base_url)) from error
    finally:
        partial.unlink(missing_ok=True)


def _verify(artifact: Artifact | None, name: str, size: int, sha256: str) -> None:
    if artifact is None:
        return
    if artifact.size_bytes is not None and artifact.size_bytes != size:
        raise DownloadCorrupt(f"{name}: {size} bytes arrived, the job wrote {artifact.size_bytes}")
    if artifact.sha256 is not None and artifact.sha256 != sha256:
        raise DownloadCorrupt(f"{name}: the checksum is {sha256}, the job wrote {artifact.sha256}")
