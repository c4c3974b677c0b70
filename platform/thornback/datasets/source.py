"""Opens and decodes clips: WAV, FLAC, OGG and MP3, from a folder or from s3://, as mono float32.

Decoding is libsndfile's, inside soundfile's wheel, so no system package is needed. Resampling is
scipy's polyphase filter.
"""

from __future__ import annotations

import math
import posixpath
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from thornback.artifacts.files import Location, locate
from thornback.datasets.clips import Clip
from thornback.errors import NotFound


class BrokenClip(Exception):
    """This one clip cannot be used; the message says why. It ends no run by itself."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself."""

    sample_rate: int  # Hz
    frames: int


class ClipSource:
    """The files below one root. Cheap to make and to pickle; file systems are opened when first needed."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._place: Location | None = None

    def __reduce__(self) -> tuple[type[ClipSource], tuple[str]]:
        return type(self), (self._root,)

    def header(self, path: str) -> Header:
        """Read the beginning of a file. Raises BrokenClip."""
        try:
            with self._open(path, whole=False) as file, soundfile.SoundFile(file) as sound:
                return Header(sound.samplerate, sound.frames)
        except (soundfile.LibsndfileError, OSError, NotFound, EOFError) as error:
            raise BrokenClip(_reason(error)) from None

    def read(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """Decode one clip: mono, float32 in about ±1, [samples] at `sample_rate` Hz.

        Raises:
            BrokenClip: it is missing, cannot be decoded, is empty, or holds NaN or infinity.
        """
        try:
            with self._open(clip.path, whole=True) as file, soundfile.SoundFile(file) as sound:
                rate = sound.samplerate
                sound.seek(min(sound.frames, round(clip.start * rate)))
                frames = -1 if clip.duration is None else round(clip.duration * rate)
                wave = sound.read(frames, dtype="float32", always_2d=True).mean(axis=1, dtype=np.float32)
        except (soundfile.LibsndfileError, OSError, NotFound, EOFError) as error:
            raise BrokenClip(_reason(error)) from None
        if not len(wave):
            raise BrokenClip("it holds no samples")
        if not np.isfinite(wave).all():
            raise BrokenClip("it holds samples that are not finite")
        return wave if rate == sample_rate else resample(wave, rate, sample_rate)

    def _open(self, path: str, *, whole: bool) -> BinaryIO:
        place = self._locate(path)
        if "://" not in self._root and "://" not in path:
            return Path(place.path).open("rb")
        if whole:
            return BytesIO(place.read_bytes())  # one request instead of one per seek
        stream: BinaryIO = place.fs.open_input_file(place.path)
        return stream

    def _locate(self, path: str) -> Location:
        if "://" in path or path.startswith("/"):
            return locate(path)
        if self._place is None:
            self._place = locate(self._root)
        return self._place.at(posixpath.normpath(posixpath.join(self._place.path, path)))


def resample(wave: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """[samples] at `rate` Hz -> [ceil(samples * target / rate)] at `target` Hz."""
    from scipy.signal import resample_poly  # 0.8 s that datasets at their own rate do not need

    common = math.gcd(rate, target)
    return np.asarray(resample_poly(wave, target // common, rate // common), dtype=np.float32)


def _reason(error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string).strip().rstrip(".")
    if isinstance(error, FileNotFoundError | NotFound):
        return "there is no such file"
    return str(error) or type(error).__name__
