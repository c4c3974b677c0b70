"""Opens and decodes clips: WAV, FLAC, OGG and MP3, from a folder or from s3://, as mono float32.

Decoding is libsndfile's, inside soundfile's wheel, so no system package is needed. Resampling is
scipy's polyphase filter.
"""

from __future__ import annotations

import math
import posixpath
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray
from pyarrow import NativeFile

from thornback.artifacts.files import Location, locate, without_secrets
from thornback.artifacts.node_cache import NodeCache
from thornback.datasets.clips import Clip
from thornback.errors import NotFound

MAX_SAMPLES = 1 << 27  # of one clip, over all channels: 512 MB as float32
MAX_RATIO = 1_000_000
"""Greatest number in the ratio of two sample rates; the filter between them has twenty times as many taps."""

_BLOCK_FRAMES = 1 << 16


class BrokenClip(Exception):
    """This one clip cannot be used; the message says why. It ends no run by itself."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself."""

    sample_rate: int  # Hz
    frames: int
    version: str | None = None  # what the storage calls this content; None where it does not say


# ValueError: a NUL in a path. MemoryError: what libsndfile asks for by a header that lies.
_BROKEN = (soundfile.LibsndfileError, OSError, NotFound, EOFError, ValueError, OverflowError, MemoryError)


class ClipSource:
    """The files below one root. Cheap to make and to pickle; file systems are opened when first needed."""

    def __init__(self, root: str, near: NodeCache | None = None) -> None:
        """`near`: where copies of clips from s3:// are kept, of those whose version is known; None: nowhere."""
        self._root = root
        self._near = near
        self._place: Location | None = None

    def __reduce__(self) -> tuple[type[ClipSource], tuple[str, NodeCache | None]]:
        return type(self), (self._root, self._near)

    def header(self, path: str) -> Header:
        """Read the beginning of a file. Raises BrokenClip."""
        try:
            with self._open(path) as file, soundfile.SoundFile(file) as sound:
                return Header(sound.samplerate, sound.frames, _version(file))
        except _BROKEN as error:
            raise BrokenClip(_reason(error)) from None

    def read(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """Decode one clip: mono, float32 in about ±1, [samples] at `sample_rate` Hz.

        Raises:
            BrokenClip: it is missing, cannot be decoded, is empty, or holds NaN or infinity.
        """
        try:
            with self._open_whole(clip) as file, soundfile.SoundFile(file) as sound:
                rate = sound.samplerate
                sound.seek(min(sound.frames, round(clip.start * rate)))
                wave = _mono(sound, None if clip.duration is None else round(clip.duration * rate))
        except _BROKEN as error:
            raise BrokenClip(_reason(error)) from None
        if not len(wave):
            raise BrokenClip("it holds no samples")
        if not np.isfinite(wave).all():
            raise BrokenClip("it holds samples that are not finite")
        return wave if rate == sample_rate else resample(wave, rate, sample_rate)

    def _open(self, path: str) -> BinaryIO:
        place = self._locate(path)
        if place.is_local:
            return Path(place.path).open("rb")
        stream: BinaryIO = place.fs.open_input_file(place.path)
        return stream

    def _open_whole(self, clip: Clip) -> BinaryIO:
        """One request instead of one per seek, or none."""
        place = self._locate(clip.path)
        if place.is_local:
            return Path(place.path).open("rb")
        if self._near is None or clip.version is None:
            return BytesIO(place.read_bytes())
        # What was replaced since the dataset was looked at is read, and not kept as what it was.
        key = f"{self._address(clip)} {clip.version}"
        return BytesIO(self._near.fetch(key, place.read_bytes, is_wanted=lambda: _is_version(place, clip.version)))

    def _address(self, clip: Clip) -> str:
        """Of a clip on s3://, with its server, without keys."""
        return f"{without_secrets(clip.path if '://' in clip.path else self._root)} {clip.path} {self._server}"

    @property
    def _server(self) -> str:
        return self._root.partition("?")[2]

    def _locate(self, path: str) -> Location:
        if "://" in path:
            self._check_server(path)
        if "://" in path or path.startswith("/"):
            return locate(path)
        if self._place is None:
            self._place = locate(self._root)
        return self._place.at(posixpath.normpath(posixpath.join(self._place.path, path)))

    def _check_server(self, path: str) -> None:
        """A row of a manifest leads to no other S3 server than the manifest itself, and brings no key along."""
        host, _, query = path.partition("://")[2].partition("?")
        if "@" in host.partition("/")[0] or query not in ("", self._server):
            raise BrokenClip("it names an S3 server or a key of its own; only the manifest's own are used")


def resample(wave: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """[samples] at `rate` Hz -> [ceil(samples * target / rate)] at `target` Hz.

    Raises:
        BrokenClip: the rates have no ratio of small numbers, or too many samples would come of it.
    """
    from scipy.signal import resample_poly  # 0.8 s that datasets at their own rate do not need

    common = math.gcd(rate, target)
    if max(rate, target) // common > MAX_RATIO or len(wave) * target > MAX_SAMPLES * rate:
        raise BrokenClip(f"{len(wave)} samples at {rate} Hz cannot be made into ones at {target} Hz")
    return np.asarray(resample_poly(wave, target // common, rate // common), dtype=np.float32)


def _mono(sound: soundfile.SoundFile, frames: int | None) -> NDArray[np.float32]:
    """At most `frames` from where the file stands, or all; [samples].

    In blocks: a header may promise any number, and memory is to be taken for what comes.
    """
    parts: list[NDArray[np.float32]] = []
    left = sys.maxsize if frames is None else frames
    taken = 0
    while left > 0 and len(block := sound.read(min(left, _BLOCK_FRAMES), dtype="float32", always_2d=True)):
        parts.append(block.mean(axis=1, dtype=np.float32))
        left, taken = left - len(block), taken + block.size
        if taken > MAX_SAMPLES:
            raise BrokenClip(f"it has more than {MAX_SAMPLES} samples; give start and duration in a manifest")
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _is_version(place: Location, version: str | None) -> bool:
    try:
        return place.version() == version
    except (NotFound, OSError):
        return False


def _version(file: BinaryIO) -> str | None:
    """What came with the answer that the size came with, so that nothing more is asked."""
    told: Mapping[str, bytes] = file.metadata() if isinstance(file, NativeFile) else {}
    return told.get("ETag", b"").decode(errors="replace").strip('"') or None


def _reason(error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string).strip().rstrip(".")
    if isinstance(error, FileNotFoundError | NotFound):
        return "there is no such file"
    return str(error) or type(error).__name__
