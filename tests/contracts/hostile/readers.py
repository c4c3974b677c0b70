"""Everything that reads what a stranger wrote: a good sample, how it is read, and the errors that it may raise.

A new reader gets a line here; the fuzzers and the figure run over all of them.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from serve_apps.api import tus
from tests.unit.datasets.pictures_made import picture
from thornback.access.tickets import read_ticket
from thornback.access.tokens import read_token
from thornback.artifacts.archive import take_member
from thornback.artifacts.content_type import settle
from thornback.artifacts.files import locate
from thornback.artifacts.safetensors import read_header
from thornback.cli.spec_file import assign, read_spec
from thornback.datasets import image_zip, pictures
from thornback.datasets.captioned import look
from thornback.datasets.clips import Clip
from thornback.datasets.image_files import FolderFiles, ZipFiles
from thornback.datasets.manifest import list_clips
from thornback.datasets.source import BrokenClip, ClipSource
from thornback.errors import DataError, FetchFailed, InvalidInput, ThornbackError
from thornback.lora.inspect import inspect
from thornback.net.rules import PUBLIC_ONLY
from thornback.trainlog.parser import parse
from thornback.webhooks.signatures import check_age, fal_envelope, parse_jwks, parse_secrets, replicate_envelope

Read = Callable[[Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One of them."""

    make: Callable[[], bytes]  # a good sample
    read: Read
    raises: tuple[type[Exception], ...]
    suffix: str = ""


def _tar(mode: str) -> bytes:
    out = io.BytesIO()
    open_tar: Callable[..., tarfile.TarFile] = tarfile.open
    with open_tar(fileobj=out, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for name in ("a" * 120 + "/config.yaml", "out/lora.safetensors"):
            info = tarfile.TarInfo(name)
            info.size = 700
            tar.addfile(info, io.BytesIO(bytes(range(100)) * 7))
    return out.getvalue()


def _zip(compression: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("in/a.png", picture(size=(8, 8)))
        archive.writestr("in/a.txt", "a caption, süß")
        archive.writestr("metadata.jsonl", json.dumps({"file_name": "in/a.png", "text": "x"}))
    return out.getvalue()


def _audio(format: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.sin(np.arange(1600) / 5.0) / 2, 8000, format=format)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"path": ["a.wav", "b.wav"], "label": ["a", "b"], "snr_db": [1.0, None]}), out)
    return out.getvalue()


def _safetensors() -> bytes:
    header = {
        "__metadata__": {"format": "pt", "ss_network_dim": "4"},
        "lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": {
            "dtype": "F16",
            "shape": [4, 2],
            "data_offsets": [0, 16],
        },
        "lora_unet_double_blocks_0_img_attn_proj.alpha": {"dtype": "F32", "shape": [], "data_offsets": [16, 20]},
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(20)


def _read_zip(path: Path) -> None:
    image_zip.check_names(path, max_bytes=1 << 20)
    files = ZipFiles(path)
    look(files, source="a ZIP")
    image_zip.check_zip(path, max_bytes=1 << 20)


def _read_tar(path: Path) -> None:
    take_member(path, "**/lora.safetensors", path.with_suffix(".out"), max_bytes=1 << 20)


def _read_audio(path: Path) -> None:
    source = ClipSource(str(path.parent))
    source.header(path.name)
    source.read(Clip(path=path.name, label="x", start=0.01, duration=0.1), 4000)
    source.read(Clip(path=path.name, label="x"), 4000)


def _read_picture(path: Path) -> None:
    content = path.read_bytes()
    pictures.check(content)
    pictures.upright_size(content)
    pictures.to_jpeg(content)
    pictures.thumbnail(content, 16)


def _read_captions(path: Path) -> None:
    folder = path.parent / "captions"
    folder.mkdir(exist_ok=True)
    (folder / "a.png").write_bytes(picture(size=(8, 8)))
    (folder / "metadata.jsonl").write_bytes(path.read_bytes())
    look(FolderFiles(locate(str(folder))), source="a folder")


def _read_webhook(path: Path) -> None:
    content = path.read_bytes()
    text = content.decode("latin-1")
    replicate = {"webhook-id": text[:80], "webhook-timestamp": text[80:100] or "1", "webhook-signature": f"v1,{text}"}
    fal = {
        "x-fal-webhook-request-id": text[:80],
        "x-fal-webhook-user-id": "u",
        "x-fal-webhook-timestamp": text[80:100] or "1",
        "x-fal-webhook-signature": text,
    }
    for envelope, headers in ((replicate_envelope, replicate), (fal_envelope, fal)):
        with suppress(ThornbackError):
            check_age(envelope(headers, content), now=1.0, tolerance_s=300.0)


def _read_words(path: Path) -> None:
    """What stands in headers, addresses and options."""
    text = path.read_text("latin-1")
    read_token(text)
    read_ticket(text, b"secret", now=_NOW)
    settle(path.read_bytes(), text)
    for read in (
        lambda: PUBLIC_ONLY.check_url(text),
        lambda: assign({}, text),
        lambda: parse_secrets(text),
        lambda: tus.Checksum(text),
    ):
        try:
            read()
        except ThornbackError:
            continue


def _read_jwks(path: Path) -> None:
    parse_jwks(json.loads(path.read_bytes()))


def _json_of(value: Any) -> Callable[[], bytes]:
    return lambda: json.dumps(value).encode()


_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CSV = b"path,label,snr_db,approved,split,start,duration\r\na.wav,a,1,yes,train,0,1\r\nb.wav,b,,no,val,,\r\n"
_JSONL = b'{"path": "a.wav", "label": "a", "start": 0.5}\n{"path": "b.wav", "label": "b", "approved": true}\n'
_SPEC = b"job_name: x\nconfig:\n  epochs: 3\n  learning_rate: 1e-3\ntags: {a: b, list: [1, 2]}\n"
_LOG = b"\x1b[32mEpoch 1/3\x1b[0m  50%|#####     | 5/10 [00:01<00:01, 5.00it/s, loss=0.25]\rstep 7 loss 0.1\n"

READERS: Mapping[str, Reader] = {
    "zip, stored": Reader(make=lambda: _zip(zipfile.ZIP_STORED), read=_read_zip, raises=(DataError,)),
    "zip, deflated": Reader(make=lambda: _zip(zipfile.ZIP_DEFLATED), read=_read_zip, raises=(DataError,)),
    "zip, lzma": Reader(make=lambda: _zip(zipfile.ZIP_LZMA), read=_read_zip, raises=(DataError,)),
    "tar": Reader(make=lambda: _tar("w"), read=_read_tar, raises=(FetchFailed,)),
    "tar.gz": Reader(make=lambda: _tar("w:gz"), read=_read_tar, raises=(FetchFailed,)),
    "tar.xz": Reader(make=lambda: _tar("w:xz"), read=_read_tar, raises=(FetchFailed,)),
    "csv": Reader(make=lambda: _CSV, read=lambda path: list_clips(str(path)), raises=(DataError,), suffix=".csv"),
    "jsonl": Reader(make=lambda: _JSONL, read=lambda path: list_clips(str(path)), raises=(DataError,), suffix=".jsonl"),
    "parquet": Reader(make=_parquet, read=lambda path: list_clips(str(path)), raises=(DataError,), suffix=".parquet"),
    "captions": Reader(make=_json_of({"file_name": "a.png", "text": "x"}), read=_read_captions, raises=(DataError,)),
    **{
        f"audio, {format}": Reader(
            make=lambda format=format: _audio(format),  # type: ignore[misc]
            read=_read_audio,
            raises=(BrokenClip,),
        )
        for format in ("WAV", "FLAC", "OGG", "MP3")
    },
    **{
        f"picture, {format}": Reader(
            make=lambda format=format: picture(format, size=(16, 12)),  # type: ignore[misc]
            read=_read_picture,
            raises=(DataError,),
        )
        for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
    },
    "safetensors": Reader(make=_safetensors, read=read_header, raises=(InvalidInput,)),
    "lora": Reader(make=_safetensors, read=inspect, raises=(InvalidInput,)),
    "specification": Reader(make=lambda: _SPEC, read=read_spec, raises=(InvalidInput,)),
    "training log": Reader(make=lambda: _LOG, read=lambda path: list(parse(path.read_text("latin-1"))), raises=()),
    "webhook": Reader(make=_json_of({"id": "x" * 90, "status": "succeeded"}), read=_read_webhook, raises=()),
    "jwks": Reader(
        make=_json_of({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}]}),
        read=_read_jwks,
        raises=(ThornbackError, ValueError, RecursionError),
    ),
    "words": Reader(make=lambda: b"https://user@good.test:8080/a?b=c", read=_read_words, raises=()),
}


@cache
def sample(name: str) -> bytes:
    """A reader's good sample."""
    return READERS[name].make()


def refused(name: str, content: bytes) -> bool:
    """Give a reader this content; True where it says no in its own words, and anything else it raises is raised."""
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{reader.suffix}"
        path.write_bytes(content)
        try:
            reader.read(path)
        except reader.raises:
            return True
    return False
