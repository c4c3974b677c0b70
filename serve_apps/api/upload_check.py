"""What an upload is, by its bytes and not by its name, and where it is kept once that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from thornback.artifacts.files import locate
from thornback.datasets.image_zip import check_zip, digest
from thornback.datasets.packing import upload_uri
from thornback.errors import DataError
from thornback.settings import Settings

SNIFF_BYTES = 16

# A local file header, or the end of an empty archive.
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_VIDEO_FACTS = ("container", "codec", "duration_s", "frames", "fps", "width", "height", "rotation", "hdr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an upload turned out to be."""

    content: Literal["pictures", "video"]
    sha256: str  # hex
    images: int | None = None
    captions: int | None = None
    video: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def most_bytes(settings: Settings) -> int:
    """Greatest file that can be of use."""
    return max(settings.dataset_max_bytes, settings.video_max_bytes if _reads_video() else 0)


def foresee(path: Path, here: int, length: int, settings: Settings) -> None:
    """Look at the first bytes of a file that is on its way.

    Raises:
        DataError: whatever comes, it will be refused; so that nobody sends gigabytes for nothing.
    """
    if here < SNIFF_BYTES and here < length:
        return
    if _is_zip(path):
        if length > settings.dataset_max_bytes:
            raise DataError(
                f"the ZIP has {length} bytes; at most {settings.dataset_max_bytes} are taken "
                "(THORNBACK_DATASET_MAX_BYTES)"
            )
    elif not _reads_video():
        raise DataError("it is no ZIP of pictures, and videos are not read here: pip install 'thornback[video]'")
    elif length > settings.video_max_bytes:
        raise DataError(
            f"it has {length} bytes; of a video, at most {settings.video_max_bytes} are taken "
            "(THORNBACK_VIDEO_MAX_BYTES)"
        )


def keep(path: Path, id: str, settings: Settings) -> Found:
    """Check a whole file and put it where `upload:<id>` finds it. Blocks; safe to repeat.

    Raises:
        DataError: it is neither a ZIP of pictures nor a video that can be used; the message says why.
    """
    return _keep_pictures(path, id, settings) if _is_zip(path) else _keep_video(path, id, settings)


def _keep_pictures(path: Path, id: str, settings: Settings) -> Found:
    report = check_zip(path, max_bytes=settings.dataset_max_bytes)
    locate(upload_uri(settings.storage, id)).upload(path)
    return Found(content="pictures", sha256=report.sha256, images=report.images, captions=report.captions)


def _keep_video(path: Path, id: str, settings: Settings) -> Found:
    from thornback.media.probe import VideoLimits, probe_apart  # the optional extra `video`
    from thornback.media.source import video_upload_uri

    info = probe_apart(path, VideoLimits.of(settings)).to_dict()
    locate(video_upload_uri(settings.storage, id)).upload(path)
    return Found(content="video", sha256=digest(path), video={name: info[name] for name in _VIDEO_FACTS})


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(SNIFF_BYTES).startswith(_ZIP)


def _reads_video() -> bool:
    return find_spec("av") is not None
