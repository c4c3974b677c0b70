"""What was encoded once is kept in the storage, by its content and the model that encoded it.

Runs share it: the second one on a data set encodes nothing. A file is written whole or not at all, and
two workers that write the same one write the same.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load, save
from torch import Tensor

from thornback.artifacts.files import Location, join, locate
from thornback.artifacts.node_cache import NodeCache
from train_jobs.lora.examples import Latents, Shot
from train_jobs.lora.families.base import Conditioning, Frame

FORMAT = 1
"""Changes where what is kept, or how it is made, changes."""

KEPT_BYTES = 4 << 30  # of encoded tensors in a worker's memory
_STRIPES = 16
_STRIPE_BYTES = 1 << 16


def model_key(source: str, revision: str | None, components: tuple[str, ...], *, made_by: str = "") -> str:
    """What tells the encoders of a base model apart: its commit, or what the files of a folder are.

    Args:
        source: hub id or folder.
        revision: the commit; None for a folder.
        components: the sub-folders that matter.
        made_by: what else decides what comes out: the family, the precision.
    """
    digest = hashlib.sha256(f"{FORMAT} {made_by} {' '.join(sorted(components))}".encode())
    if revision is not None:
        digest.update(f"{source}@{revision}".encode())
        return digest.hexdigest()[:32]
    for component in sorted(components):
        for file in sorted((Path(source) / component).rglob("*")):
            if not file.is_file():
                continue
            size = file.stat().st_size
            digest.update(f"{file.relative_to(source)} {size}".encode())
            with file.open("rb") as stream:
                for stripe in _stripes(stream, size):
                    digest.update(stripe)
    return digest.hexdigest()[:32]


def _stripes(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """A small file whole; of a large one, which would take minutes, stripes from its beginning to its end."""
    if size <= _STRIPES * _STRIPE_BYTES:
        yield stream.read()
        return
    for number in range(_STRIPES):
        stream.seek((size - _STRIPE_BYTES) * number // (_STRIPES - 1))
        yield stream.read(_STRIPE_BYTES)


class Cache:
    """Encoded captions and images of one base model. Knows no model."""

    def __init__(self, uri: str, *, text_key: str, image_key: str, near: NodeCache | None = None) -> None:
        """`uri` is the folder that all runs share; the keys come from `model_key`.

        `near` keeps copies on this machine where that folder is elsewhere.
        """
        self._near = near
        self._text = join(uri, "text", text_key)
        self._server = uri.partition("?")[2]
        self._images = join(uri, "images", image_key)
        self._masks: Mapping[str, str] = {}
        self._memory: OrderedDict[str, tuple[dict[str, Tensor], dict[str, str]]] = OrderedDict()
        self._bytes = 0
        self.statistics: Mapping[str, Any] = {}

    @property
    def held_bytes(self) -> int:
        """Of what has been read and is kept in memory."""
        return self._bytes

    def use_masks(self, masks: Mapping[str, str]) -> None:
        """Image -> SHA-256 of its mask, for the images that have one."""
        self._masks = masks

    def has_text(self, caption: str) -> bool:
        """True where a caption is encoded."""
        return self._text_file(caption).exists()

    def put_text(self, caption: str, conditioning: Conditioning) -> None:
        """Keep an encoded caption."""
        self._text_file(caption).write_bytes(save({name: _plain(one) for name, one in conditioning.items()}))

    def text(self, caption: str) -> Conditioning:
        """See Encoded."""
        return self._read(self._text_file(caption))[0]

    def has_statistics(self) -> bool:
        """True where the VAE has said how latents are normalised; read into `statistics` then."""
        file = locate(join(self._images, "statistics.json"))
        if not file.exists():
            return False
        self.statistics = json.loads(file.read_bytes())
        return True

    def put_statistics(self, statistics: Mapping[str, Any]) -> None:
        """Keep them."""
        locate(join(self._images, "statistics.json")).write_bytes(json.dumps(dict(statistics)).encode())
        self.statistics = statistics

    def has_latents(self, shot: Shot, crop: int) -> bool:
        """True where a crop is encoded."""
        return self._latents_file(shot, crop).exists()

    def put_latents(self, shot: Shot, crop: int, latents: Latents) -> None:
        """Keep an encoded crop."""
        tensors = {"mean": _plain(latents.mean), "std": _plain(latents.std)}
        if latents.mask is not None:
            tensors["mask"] = _plain(latents.mask)
        frame = {"original": latents.frame.original, "crop": latents.frame.crop, "target": latents.frame.target}
        self._latents_file(shot, crop).write_bytes(save(tensors, metadata={"frame": json.dumps(frame)}))

    def latents(self, shot: Shot, crop: int) -> Latents:
        """See Encoded."""
        tensors, metadata = self._read(self._latents_file(shot, crop))
        frame = {name: (int(pair[0]), int(pair[1])) for name, pair in json.loads(metadata["frame"]).items()}
        return Latents(mean=tensors["mean"], std=tensors["std"], mask=tensors.get("mask"), frame=Frame(**frame))

    def _text_file(self, caption: str) -> Location:
        return locate(join(self._text, f"{hashlib.sha256(caption.encode()).hexdigest()}.safetensors"))

    def _latents_file(self, shot: Shot, crop: int) -> Location:
        mask = self._masks.get(shot.image, "")
        name = f"{shot.image}-{shot.size[0]}x{shot.size[1]}-{crop}{mask and '-' + mask[:16]}.safetensors"
        return locate(join(self._images, shot.image[:2], name))

    def _read(self, file: Location) -> tuple[dict[str, Tensor], dict[str, str]]:
        if file.path in self._memory:
            self._memory.move_to_end(file.path)
            return self._memory[file.path]
        content = self._content(file)
        length = int.from_bytes(content[:8], "little")
        metadata: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        entry = load(content), metadata
        self._memory[file.path] = entry
        self._bytes += _size(entry[0])
        while self._bytes > KEPT_BYTES and len(self._memory) > 1:
            _, oldest = self._memory.popitem(last=False)
            self._bytes -= _size(oldest[0])
        return entry

    def _content(self, file: Location) -> bytes:
        if self._near is None or file.is_local:
            return file.read_bytes()
        # A name stands for one content: it holds the hashes of all that it was made of.
        return self._near.fetch(f"{self._server} {file.path}", file.read_bytes)


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().to("cpu")
    return tensor.float().contiguous() if tensor.dtype == torch.float64 else tensor.contiguous()


def _size(tensors: Mapping[str, Tensor]) -> int:
    return sum(one.numel() * one.element_size() for one in tensors.values())
