"""Taking what a training made into our storage, before its provider deletes it."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from thornback.artifacts.archive import take_member
from thornback.artifacts.fetch import Fetched, fetch
from thornback.artifacts.files import join, locate
from thornback.artifacts.safetensors import is_safetensors
from thornback.errors import FetchFailed
from thornback.log import get_logger
from thornback.providers.entry import Trainer
from thornback.remote.desk import Desk

log = get_logger("tracker")

WEIGHTS = "lora.safetensors"
ANY_WEIGHTS = "*.safetensors"
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
MAX_EXTRA_BYTES = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file of a training in our storage."""

    name: str
    type: str  # lora or config
    file: Fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be fetched of an output."""

    weights: tuple[str, ...]
    extras: tuple[str, ...] = ()
    archive: str | None = None  # the weights are a tar with such a member


def wanted_of(output: Any, outputs: Sequence[str], trainer: Trainer | None) -> Wanted:
    """Which of an output's addresses hold the weights.

    Args:
        output: as the provider sent it, None where only its addresses are known.
        outputs: all addresses in it.
        trainer: knows the places; without it the names of the files tell.
    """
    weights = trainer.weights_of(output) if trainer is not None and output is not None else ()
    extras = trainer.extras_of(output) if trainer is not None and output is not None else ()
    if not weights:
        weights = tuple(url for url in outputs if _suffix(url) in (".safetensors", *_ARCHIVES))
        if not weights and len(outputs) == 1:
            weights = tuple(outputs)
        extras = tuple(url for url in outputs if url not in weights)
    return Wanted(weights=weights, extras=extras, archive=trainer.archive if trainer is not None else None)


async def store_weights(desk: Desk, job_id: str, wanted: Wanted) -> list[Stored]:
    """Fetch, unpack, check and store; the weights first.

    Raises:
        OutputGone: the provider has them no longer.
        FetchFailed: what came is no LoRA.
        Unavailable: later may work.
    """
    folder = desk.settings.run_uri(job_id)
    stored: list[Stored] = []
    for number, url in enumerate(wanted.weights):
        name = WEIGHTS if number == 0 else f"lora-{number + 1}.safetensors"
        stored.append(
            Stored(name=name, type="lora", file=await _weights(desk, url, join(folder, name), wanted.archive))
        )
    names = {entry.name for entry in stored}
    for url in wanted.extras:
        name = _file_name(url, taken=names)
        names.add(name)
        try:
            file = await _fetch(desk, url, join(folder, name), max_bytes=MAX_EXTRA_BYTES)
        except FetchFailed as error:  # the weights are what was paid for
            log.warning("a file beside the weights could not be fetched", job_id=job_id, error=error.message)
            continue
        stored.append(Stored(name=name, type="config", file=file))
    return stored


async def _weights(desk: Desk, url: str, to: str, member: str | None) -> Fetched:
    with tempfile.TemporaryDirectory(prefix="thornback-weights-") as folder:
        raw, found = Path(folder) / "raw", Path(folder) / WEIGHTS
        fetched = await _fetch(desk, url, str(raw))
        if await asyncio.to_thread(is_safetensors, raw):
            found = raw
        else:
            await asyncio.to_thread(take_member, raw, member or ANY_WEIGHTS, found)
            if not await asyncio.to_thread(is_safetensors, found):
                raise FetchFailed(f"the weights are no whole safetensors file, but {fetched.content_type}", url=url)
        return await asyncio.to_thread(_publish, found, to)


async def _fetch(desk: Desk, url: str, to: str, **limits: Any) -> Fetched:
    return await fetch(
        url, to, headers=desk.provider.download_headers(url), client=desk.http, rules=desk.rules, **limits
    )


def _publish(source: Path, to: str) -> Fetched:
    place = locate(to)
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    place.upload(source)
    return Fetched(uri=to, size_bytes=source.stat().st_size, sha256=digest, content_type="application/octet-stream")


def _suffix(url: str) -> str:
    name = PurePosixPath(unquote(urlsplit(url).path)).name.lower()
    return next((suffix for suffix in (".safetensors", *_ARCHIVES) if name.endswith(suffix)), "")


def _file_name(url: str, *, taken: set[str]) -> str:
    """The last part of the address as a name without folders, and one that is free."""
    raw = PurePosixPath(unquote(urlsplit(url).path)).name
    name = "".join(char if char.isalnum() or char in "._-" else "_" for char in raw).strip(".")[-80:] or "file"
    return name if name not in taken else f"{len(taken)}-{name}"
