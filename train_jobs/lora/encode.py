"""The phases before training: captions become tensors, then images become latents, spread over the workers.

Each encoder is loaded only where something is missing in the cache, and is gone before the next is loaded.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence

import torch

from thornback.datasets import pictures
from thornback.datasets.captioned import Files
from thornback.metrics.reporter import Reporter
from train_jobs.common.group import Group
from train_jobs.lora import components
from train_jobs.lora.buckets import cut
from train_jobs.lora.cache import Cache
from train_jobs.lora.components import BaseModel
from train_jobs.lora.examples import Latents, Shot
from train_jobs.lora.pixels import to_mask, to_pixels

TEXTS_AT_ONCE = 8


def encode_texts(
    base: BaseModel, captions: Iterable[str], cache: Cache, group: Group, reporter: Reporter, *, dtype: torch.dtype
) -> int:
    """Encode what is missing; returns how many captions this run encoded, over all workers."""
    missing = sorted({caption for caption in captions if not cache.has_text(caption)})
    # All workers look before any of them writes, so that all share out the same list.
    missing = group.gather(missing)[0]
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
    missing = [key for key, shot in sorted(wanted.items()) if not cache.has_latents(shot, key[2])]
    has_statistics = cache.has_statistics()
    missing, has_statistics = group.gather((missing, has_statistics))[0]
    if not missing and has_statistics:
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
        latents = _encode(base, vae, shot, key[2], group.device, dtype, read(shot), read_mask(shot))
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


def read_by_hash(files: Files, names: dict[str, str]) -> Callable[[Shot], bytes]:
    """A function from a shot to its image's bytes; `names` are by SHA-256."""
    return lambda shot: files.read(names[shot.image])


def _free(group: Group) -> None:
    """Give the memory back, and wait for all workers: what they encoded is read by each of them."""
    gc.collect()
    if group.device.type == "cuda":
        torch.cuda.empty_cache()
    group.gather(None)
