"""The phases before training: captions become tensors, then images become latents, spread over the workers.

Each encoder is loaded only where something is missing in the cache, and is gone before the next is loaded.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from thornback.datasets import pictures
from thornback.datasets.captioned import Files
from thornback.errors import DataError
from thornback.metrics.reporter import Reporter
from train_jobs.common.group import Group
from train_jobs.lora import components
from train_jobs.lora.buckets import cut
from train_jobs.lora.cache import Cache
from train_jobs.lora.components import BaseModel
from train_jobs.lora.examples import Latents, Shot
from train_jobs.lora.pixels import to_mask, to_pixels

TEXTS_AT_ONCE = 8
LOOKS_AT_ONCE = 16

T = TypeVar("T")
Key = tuple[str, tuple[int, int], int]  # image, bucket, crop


def encode_texts(
    base: BaseModel, captions: Iterable[str], cache: Cache, group: Group, reporter: Reporter, *, dtype: torch.dtype
) -> int:
    """Encode what is missing; returns how many captions this run encoded, over all workers."""
    # One worker looks, before any of them writes, so that all share out the same list.
    missing = group.gather(_missing(sorted(set(captions)), cache.has_text) if group.is_first else [])[0]
    if not missing:
        return 0
    reporter.stage("encoding text")
    mine = missing[group.rank :: group.world_size]
    if mine:
        pipe = components.load_text_pipeline(base, device=group.device, dtype=dtype)
        with torch.no_grad():
            for start in range(0, len(mine), TEXTS_AT_ONCE):
                some = mine[start : start + TEXTS_AT_ONCE]
                for caption, conditioning in zip(some, base.model_family.encode_text(pipe, some), strict=True):
                    cache.put_text(caption, conditioning)
        del pipe
    _free(group)
    return len(missing)


def encode_images(
    base: BaseModel,
    shots: Sequence[Shot],
    cache: Cache,
    group: Group,
    reporter: Reporter,
    *,
    dtype: torch.dtype,
    read: Callable[[Shot], bytes],
    read_mask: Callable[[Shot], bytes | None],
) -> int:
    """Encode what is missing; returns how many crops this run encoded, over all workers."""
    wanted = {(shot.image, shot.size, crop): shot for shot in shots for crop in range(shot.crops)}
    missing: list[Key] = []
    has_statistics = False
    if group.is_first:
        missing = _missing(sorted(wanted), lambda key: cache.has_latents(wanted[key], key[2]))
        has_statistics = cache.has_statistics()
    missing, has_statistics = group.gather((missing, has_statistics))[0]
    if not missing and has_statistics:
        cache.has_statistics()
        return 0
    reporter.stage("encoding images")
    mine = missing[group.rank :: group.world_size]
    vae = components.load_vae(base, device=group.device, dtype=dtype)
    statistics = base.model_family.statistics(vae)
    if group.is_first and not has_statistics:
        cache.put_statistics(statistics)
    cache.statistics = statistics
    for done, key in enumerate(mine, 1):
        shot = wanted[key]
        latents = _encode(base, vae, shot, key[2], group.device, dtype, unchanged(shot, read(shot)), read_mask(shot))
        cache.put_latents(shot, key[2], latents)
        if done % 50 == 0:
            reporter.log(f"{done} of {len(mine)} crops encoded")
    del vae
    _free(group)
    return len(missing)


def _encode(
    base: BaseModel,
    vae: torch.nn.Module,
    shot: Shot,
    crop: int,
    device: torch.device,
    dtype: torch.dtype,
    content: bytes,
    mask: bytes | None,
) -> Latents:
    image = pictures.to_rgb(content)
    place = cut(image.height, image.width, shot.size, crop=crop, key=(int(shot.image[:12], 16),))
    pixels = to_pixels(image, place)[None].to(device, dtype)
    with torch.no_grad():
        posterior = base.model_family.encode_images(vae, pixels)
    return Latents(
        mean=posterior.mean[0].float(),
        std=posterior.std[0].float(),
        frame=place.frame((image.height, image.width)),
        mask=None if mask is None else to_mask(mask, place, (posterior.mean.shape[-2], posterior.mean.shape[-1])),
    )


def unchanged(shot: Shot, content: bytes) -> bytes:
    """The content, which must be what the index tells of: it is kept under that hash, for other runs too."""
    if hashlib.sha256(content).hexdigest() != shot.image:
        raise DataError(f"{shot.name} is another picture than when the run began; start a new run on the changed data")
    return content


def _missing(wanted: Sequence[T], is_there: Callable[[T], bool]) -> list[T]:
    """What is not there; asked side by side, for on S3 each answer takes a while."""
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        return [one for one, there in zip(wanted, pool.map(is_there, wanted), strict=True) if not there]


def read_by_hash(files: Files, names: dict[str, str]) -> Callable[[Shot], bytes]:
    """A function from a shot to its image's bytes; `names` are by SHA-256."""
    return lambda shot: files.read(names[shot.image])


def _free(group: Group) -> None:
    """Give the memory back, and wait for all workers: what they encoded is read by each of them."""
    gc.collect()
    if group.device.type == "cuda":
        torch.cuda.empty_cache()
    group.gather(None)
