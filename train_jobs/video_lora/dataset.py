"""From the frames of a video to a dataset in the storage: the good ones, captioned, reviewed where that was asked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from thornback.artifacts.files import join, locate
from thornback.artifacts.layout import storage_key, stored_dataset
from thornback.datasets.captions.write import Caption, compose, write_captions
from thornback.datasets.frame_folder import ARCHIVE, INDEX, FrameFolder
from thornback.datasets.frame_new import NewFrame, Origin
from thornback.datasets.frame_set import DropReason, FrameSet, VideoSource
from thornback.errors import DataError
from thornback.jobs.video_stages import VideoStage
from thornback.jobs.wishes import Wish
from thornback.media.letterbox import crop
from thornback.media.quality import Verdict, judge
from train_jobs.video_lora.captioner import captioning
from train_jobs.video_lora.frames import Found
from train_jobs.video_lora.ray_runner import on_this_machine
from train_jobs.video_lora.run import Run
from train_jobs.video_lora.steps import Done

JUDGED = 0.6  # of the stage: the rest are captions


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What is trained on."""

    archive: str  # the ZIP, as a training is told of it
    content: str  # digest of pictures and captions
    images: int
    key: str  # of its folder, below the storage
    source: VideoSource

    def lineage(self) -> dict[str, Any]:
        """What a version says of it."""
        return {"key": self.key, "images": self.images, "content": self.content}

    def video(self) -> dict[str, Any]:
        """What a version says of the video."""
        return self.source.model_dump(exclude_none=True)


async def make(run: Run, found: Found) -> Sequence[NewFrame]:
    """Judge and caption the frames. Raises DataError where too few are good enough."""
    config = run.config
    inputs = {
        "frames": found.digest,
        "quality": config.quality.model_dump(mode="json"),
        "captions": config.captions.model_dump(mode="json"),
        "most": config.frames.most,
        "trigger_word": config.trigger_word,
    }
    folder = run.folder / "dataset"

    def work() -> Done:
        verdicts = _judged(run, found)
        _refuse_few(verdicts, run)
        images = _prepared(verdicts, folder, quality=config.frames.quality)
        captions = _captioned(run, [path for path, verdict in images if verdict.kept])
        frames = [_described(path, verdict, found, captions.get(path)) for path, verdict in images]
        return Done(output={"frames": frames}, size=float(len(frames)))

    async def in_thread() -> Done:
        run.teller.size(VideoStage.DATASET, float(len(found.frames)))
        return await run_sync(work)

    output = await run.steps.take(VideoStage.DATASET, inputs, in_thread, holds=_are_there)
    return [_frame(values) for values in output["frames"]]


async def store(run: Run, found: Found, frames: Sequence[NewFrame]) -> None:
    """Bring the dataset to the storage. What people changed in a review stays as they left it."""
    folder = FrameFolder(run.dataset_uri)
    kept = [frame for frame in frames if frame.kept]
    trigger_word = run.config.trigger_word
    origin = Origin(
        job_id=run.job.id,
        trigger_word=trigger_word,
        default_caption=compose(run.config.captions.template, trigger_word=trigger_word),
        source=found.source,
        created_at=run.job.created_at or datetime.now(UTC),
    )

    def work() -> Done:
        stored = folder.write(frames, origin, for_review=run.config.review, tell=_checked(run, run.teller.at))
        _tell(run, stored)
        return Done(output={}, size=float(len(kept)))

    async def in_thread() -> Done:
        run.teller.size(VideoStage.STORE, float(len(kept)))
        return await run_sync(work)

    await run.steps.do(VideoStage.STORE, _stored_inputs(run), in_thread)


async def is_stored(run: Run) -> bool:
    """True where an earlier attempt has stored the dataset: nothing before that is needed any more."""
    index = locate(join(run.dataset_uri, INDEX))
    known = await run.steps.known(VideoStage.STORE, _stored_inputs(run), lambda output: index.exists())
    return known is not None


def is_approved(run: Run) -> bool:
    """False where somebody has to approve the dataset first, who may take days."""
    if not run.config.review or Wish.APPROVE in run.job.asked or Wish.APPROVE in run.reporter.asked():
        return True
    run.teller.enter(VideoStage.REVIEW)
    return False


async def pack(run: Run) -> Dataset:
    """Seal the dataset and make its ZIP once; found made by an earlier attempt."""
    folder = FrameFolder(run.dataset_uri)

    def work() -> Dataset:
        frames = folder.seal()
        archive = folder.pack(run.folder)
        key = storage_key(run.settings.storage, folder.uri)
        _tell(run, frames)
        return Dataset(
            archive=stored_dataset(f"{key}/{ARCHIVE}"),
            content=archive.content,
            images=archive.images,
            key=key,
            source=frames.source,
        )

    async def in_thread() -> Dataset:
        return await run_sync(work)

    return await run.steps.patiently(in_thread)


def _judged(run: Run, found: Found) -> list[Verdict]:
    paths = [found.folder / name for name in found.frames]

    def tell(share: float) -> None:
        run.check()
        run.teller.at(JUDGED * share)

    runner = on_this_machine(most=run.share, check=run.check)
    model = run.settings.face_model
    most = run.config.frames.most
    return judge(paths, run.config.quality, most=most, face_model=model, run=runner, tell=tell)


def _refuse_few(verdicts: Sequence[Verdict], run: Run) -> None:
    kept = sum(verdict.kept for verdict in verdicts)
    least = run.config.frames.least
    if kept >= least:
        return
    reasons: dict[DropReason, int] = {}
    for verdict in verdicts:
        if verdict.reason is not None:
            reasons[verdict.reason] = reasons.get(verdict.reason, 0) + 1
    why = ", ".join(f"{count} {reason.value}" for reason, count in sorted(reasons.items(), key=lambda one: -one[1]))
    raise DataError.field(
        "config.frames.least",
        f"of {len(verdicts)} frames only {kept} are good enough and {least} are needed"
        + (f" (dropped: {why})" if why else "")
        + "; give a longer or a better video, or relax config.quality or config.frames.least",
    )


def _prepared(verdicts: Sequence[Verdict], folder: Path, *, quality: int) -> list[tuple[Path, Verdict]]:
    """The files as they go into the dataset. The frames stay as they are: another attempt judges them again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = []
    for verdict in verdicts:
        path = verdict.frame
        if verdict.bars:
            path = folder / verdict.frame.name
            shutil.copyfile(verdict.frame, path)
            crop(path, verdict.bars, quality=quality)
        made.append((path, verdict))
    return made


def _captioned(run: Run, images: Sequence[Path]) -> dict[Path, Caption]:
    config = run.config

    def tell(share: float) -> None:
        run.check()
        run.teller.at(JUDGED + (1 - JUDGED) * share)

    with captioning(config.captions, run.settings, check=run.check) as captioner:
        captions = write_captions(images, config.captions, config.trigger_word, captioner=captioner, tell=tell)
    return dict(zip(images, captions, strict=True))


def _described(path: Path, verdict: Verdict, found: Found, caption: Caption | None) -> dict[str, Any]:
    """A NewFrame, JSON-ready."""
    place = found.frames[verdict.frame.name]
    return {
        "path": str(path),
        "time_s": place.time_s,
        "scene": place.scene,
        "width": verdict.width - verdict.bars.left - verdict.bars.right,
        "height": verdict.height - verdict.bars.top - verdict.bars.bottom,
        "kept": verdict.kept,
        "reason": verdict.reason,
        "explanation": verdict.explanation,
        "duplicate_of": None if verdict.duplicate_of is None else verdict.duplicate_of.stem,
        "scores": dict(verdict.scores),
        "caption": "" if caption is None else caption.text,
        "captioned_by": "" if caption is None else caption.by,
    }


def _frame(values: Mapping[str, Any]) -> NewFrame:
    reason = values["reason"]
    changes = {"path": Path(values["path"]), "reason": None if reason is None else DropReason(reason)}
    return NewFrame(**{**values, **changes})


def _stored_inputs(run: Run) -> dict[str, Any]:
    """A job's specification never changes, and what its dataset was made of may be gone after a long review."""
    return {"config": run.config.model_dump(mode="json")}


def _are_there(output: Mapping[str, Any]) -> bool:
    return all(Path(values["path"]).is_file() for values in output["frames"])


def _checked(run: Run, tell: Callable[[float], None]) -> Callable[[float], None]:
    def told(share: float) -> None:
        run.check()
        tell(share)

    return told


def _tell(run: Run, frames: FrameSet) -> None:
    run.reporter.describe(
        dataset_size=len(frames.kept),
        frames_found=len(frames.frames),
        frames_dropped={reason.value: count for reason, count in frames.reasons.items()},
        trigger_word=frames.trigger_word,
    )
