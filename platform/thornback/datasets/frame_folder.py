"""Where a dataset made from a video lies: `images/`, `captions/`, `thumbnails/`, `dataset.json` and `dataset.zip`.

`dataset.json` decides. People who review a dataset change that one file, by compare-and-set; pictures and captions
are put where it says when the dataset is sealed, by the one who then trains on it. Until then `dropped/` has the
pictures that could come back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from thornback.artifacts.files import Location, join, locate
from thornback.artifacts.swap import swap
from thornback.datasets import image_zip, pictures
from thornback.datasets.frame_new import NewFrame, Origin, assembled, described
from thornback.datasets.frame_set import FrameEdit, FrameRecord, FrameSet, ZipRecord
from thornback.datasets.image_zip import CAPTION, Entry
from thornback.errors import Conflict, DataError, NotFound

INDEX = "dataset.json"
ARCHIVE = "dataset.zip"
IMAGES, CAPTIONS, THUMBNAILS, DROPPED = "images", "captions", "thumbnails", "dropped"
THUMBNAIL_SIDE = 320  # pixels, the longer side

_AT_ONCE = 8
_TRIES = 20

Item = TypeVar("Item")
Result = TypeVar("Result")


class FrameFolder:
    """The dataset below one address. All methods block."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._place = locate(uri)

    def write(
        self,
        frames: Sequence[NewFrame],
        origin: Origin,
        *,
        for_review: bool = False,
        tell: Callable[[float], None] | None = None,
    ) -> FrameSet:
        """Store a dataset; `dataset.json` comes last, so that it shows when it is whole.

        What lies there already stays as it is where it is of the same pictures, or was approved: people may have
        changed it.

        Args:
            frames: kept and dropped, in the order of the video.
            origin: of the dataset.
            for_review: keep the pictures that were dropped until it is sealed; it is sealed at once otherwise.
            tell: hears the share that is stored.

        Raises:
            DataError: nothing was kept, two frames have one name, or a picture cannot be read.
        """
        records = _in_parallel(lambda frame: described(frame, for_review=for_review), frames)
        made = assembled(origin, records, sealed=not for_review)
        before = self._found()
        if before is not None and (before.is_of(made) or (for_review and before.is_approved_for(made.job_id))):
            return before
        _in_parallel(lambda pair: self._store(*pair), list(zip(frames, records, strict=True)), tell)
        self._place_of(INDEX).write_bytes(_encoded(made))
        return made

    def read(self) -> FrameSet:
        """What the dataset holds.

        Raises:
            NotFound: it is not made yet, or gone.
            DataError: dataset.json is broken.
        """
        return _decoded(self._place_of(INDEX).read_bytes())

    def edit(self, edits: Mapping[str, FrameEdit], *, revision: int) -> FrameSet:
        """Change captions, drop frames and take them back. Raises what `FrameSet.edited` raises, and NotFound."""
        return self._change(lambda frames: frames.edited(edits, revision=revision))

    def approve(self, *, revision: int | None = None) -> FrameSet:
        """Let nobody change it any more, as it is or as it was when `revision` was read. May be repeated.

        Raises Conflict where it was changed meanwhile, and NotFound.
        """
        return self._change(lambda frames: frames.approved(revision=revision))

    def seal(self) -> FrameSet:
        """End the review: nothing changes any more, and images/ and captions/ hold what is trained on, no more.

        Can be done again after an interruption at any point. Raises NotFound.
        """
        sealed = self._change(lambda frames: frames.model_copy(update={"sealed": True}))
        if sealed.settled:
            return sealed
        _in_parallel(self._settle, sealed.frames)
        settled = tuple(frame.model_copy(update={"stored": _final(frame)}) for frame in sealed.frames)
        sealed = self._change(lambda frames: frames.model_copy(update={"frames": settled}))
        self._sweep(sealed)
        return self._change(lambda frames: frames.model_copy(update={"settled": True}))

    def pack(self, work: Path) -> ZipRecord:
        """Make `dataset.zip` of a sealed dataset, or find it made: pictures with same-stem .txt captions, flat.

        Args:
            work: a folder of this machine, for the ZIP on its way.

        Raises:
            Conflict: the dataset is still in review.
            NotFound: it is gone.
        """
        frames = self.read()
        if not frames.sealed:
            raise Conflict("the dataset is still in review; approve it first")
        made = frames.zip
        if made is not None and made.content == frames.content and self.archive.exists():
            return made
        work.mkdir(parents=True, exist_ok=True)
        path = work / ARCHIVE
        image_zip.write_zip(path, self._entries(frames))
        record = ZipRecord(
            content=frames.content,
            sha256=image_zip.digest(path),
            size_bytes=path.stat().st_size,
            images=len(frames.kept),
        )
        self.archive.upload(path)
        path.unlink()
        self._change(lambda frames: frames.model_copy(update={"zip": record}))
        return record

    @property
    def zip_uri(self) -> str:
        """The address of `dataset.zip`."""
        return join(self.uri, ARCHIVE)

    @property
    def archive(self) -> Location:
        """Where `dataset.zip` lies."""
        return self._place_of(ARCHIVE)

    def picture(self, frame: FrameRecord) -> Location:
        """Where a frame's picture lies. Raises NotFound where only its thumbnail was kept."""
        if frame.stored is None:
            raise NotFound(f"only the thumbnail of frame {frame.id} was kept ({frame.reason})")
        return self._place_of(frame.stored, frame.file)

    def thumbnail(self, id: str) -> Location:
        """Where the preview of a frame lies, a JPEG; one that could not be read has none."""
        return self._place_of(THUMBNAILS, f"{id}.jpg")

    def _found(self) -> FrameSet | None:
        try:
            return self.read()
        except (NotFound, DataError):
            return None

    def _change(self, change: Callable[[FrameSet], FrameSet]) -> FrameSet:
        """Compare-and-set of `dataset.json`: what others wrote meanwhile is read, and the change made to that."""
        place = self._place_of(INDEX)
        for _ in range(_TRIES):
            old = place.read_bytes()
            before = _decoded(old)
            after = change(before)
            if after == before or swap(place, old, _encoded(after)):
                return after
        raise Conflict("the dataset is being changed by too many at once; try again")

    def _store(self, frame: NewFrame, record: FrameRecord) -> None:
        with contextlib.suppress(DataError):  # a frame that cannot be read has no preview
            self.thumbnail(record.id).write_bytes(pictures.thumbnail(frame.path.read_bytes(), THUMBNAIL_SIDE))
        if record.stored is not None:
            self.picture(record).upload(frame.path)
        if record.kept:
            self._write_caption(record)

    def _settle(self, record: FrameRecord) -> None:
        if not record.kept:
            return
        if record.stored == "dropped":
            self.picture(record).copy_to(self._place_of(IMAGES, record.file))
        self._write_caption(record)

    def _write_caption(self, record: FrameRecord) -> None:
        self._place_of(CAPTIONS, record.id + CAPTION).write_bytes(record.caption.encode())

    def _sweep(self, frames: FrameSet) -> None:
        """Take away what is not trained on."""
        wanted = {(IMAGES, frame.file) for frame in frames.kept}
        wanted |= {(CAPTIONS, frame.id + CAPTION) for frame in frames.kept}
        for folder in (IMAGES, CAPTIONS, DROPPED):
            for entry in self._place_of(folder).files():
                if (folder, entry.path) not in wanted:
                    self._place_of(folder, entry.path).delete_file()

    def _entries(self, frames: FrameSet) -> Iterator[Entry]:
        for frame in frames.kept:
            yield Entry(name=frame.file, content=self.picture(frame).read_bytes())
            yield Entry(name=frame.id + CAPTION, content=frame.caption.encode())

    def _place_of(self, *names: str) -> Location:
        place = self._place
        for name in names:
            place = place / name
        return place


def _final(record: FrameRecord) -> str | None:
    return IMAGES if record.kept else None


def _encoded(frames: FrameSet) -> bytes:
    return frames.model_dump_json(indent=1).encode()


def _decoded(content: bytes) -> FrameSet:
    try:
        return FrameSet.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{INDEX} of the dataset cannot be read: {error}") from error


def _in_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], tell: Callable[[float], None] | None = None
) -> list[Result]:
    """Results in order; the first error ends it. What storing takes is mostly waiting."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [_told(future.result(), (number + 1) / len(items), tell) for number, future in enumerate(futures)]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _told(result: Result, share: float, tell: Callable[[float], None] | None) -> Result:
    if tell is not None:
        tell(share)
    return result
