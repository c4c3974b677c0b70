"""The first half of a pipeline: the video brought here, its scenes found, a frame of each written out."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from thornback.artifacts.files import join, locate
from thornback.datasets.frame_set import VideoSource
from thornback.errors import DataError
from thornback.jobs.video_stages import VideoStage
from thornback.media.cache import MediaCache
from thornback.media.probe import VideoInfo
from thornback.media.scan import scan
from thornback.media.source import Video, inspect, open_source
from thornback.models.lineage import address
from train_jobs.video_lora.elsewhere import VideoAt
from train_jobs.video_lora.ray_runner import has_other_machines, on_cluster
from train_jobs.video_lora.run import Run
from train_jobs.video_lora.steps import Done

ANALYSIS = "frames-1"  # the result in the cache; another number where scenes or frames are found in another way
ELSEWHERE = "video"  # in temp/, for other machines
FRAMES = "frames"  # folder of this machine
_SECONDS_A_SCENE = 3.0  # of busy footage, for the space that is kept free
_BYTES_A_PIXEL = {"jpeg": 0.4, "png": 3.0}


@dataclass(frozen=True, slots=True)
class Place:
    """Of a frame in the video."""

    time_s: float
    scene: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The frames of a video, as files of this machine."""

    folder: Path
    frames: Mapping[str, Place]  # by file name, in the order of the video
    digest: str  # of the video and of how frames were taken out of it
    source: VideoSource


async def find_frames(run: Run) -> Found:
    """Fetch and analyse, as far as that was not done before: in this job, or on this machine for another.

    Raises:
        InvalidInput, DataError, FetchFailed, NotFound: the video cannot be had or used.
    """
    fetch_inputs = {"video_url": run.config.video_url}
    fetched = await run.steps.known(VideoStage.FETCH, fetch_inputs)
    if fetched is not None:
        run.teller.size(VideoStage.FETCH, float(fetched["info"]["duration_s"]))
        output = await run.steps.known(VideoStage.FRAMES, _frame_inputs(run, fetched), lambda known: _holds(run, known))
        if output is not None:
            return _found(run, fetched, output)
    async with AsyncExitStack() as held:
        videos: list[Video] = []

        async def fetch() -> Done:
            return await _fetch(run, held, videos)

        fetched = await run.steps.do(VideoStage.FETCH, fetch_inputs, fetch)
        duration_s = float(fetched["info"]["duration_s"])
        for stage in (VideoStage.SCENES, VideoStage.FRAMES):
            run.teller.size(stage, duration_s)

        async def look() -> Done:
            return Done(output=await _frames_of(run, videos[-1], fetched), size=duration_s)

        output = await run.steps.do(VideoStage.FRAMES, _frame_inputs(run, fetched), look)
    return _found(run, fetched, output)


async def _fetch(run: Run, held: AsyncExitStack, videos: list[Video]) -> Done:
    def tell(here: int, size: int | None) -> None:
        run.teller.at(here / size if size else 0.0)

    video = await held.enter_async_context(open_source(run.config.video_url, run.settings, tell=tell))
    info = await inspect(video, run.settings)
    videos.append(video)
    source = VideoSource(
        name=address(run.config.video_url),
        sha256=video.sha256,
        duration_s=round(info.duration_s, 3),
        width=info.shown_size[0],
        height=info.shown_size[1],
    )
    run.reporter.describe(
        video_seconds=source.duration_s,
        video_bytes=video.size_bytes,
        video_size=f"{source.width}x{source.height}",
        video_codec=info.codec,
        video_sha256=video.sha256,
    )
    output = {"sha256": video.sha256, "info": info.to_dict(), "source": source.model_dump()}
    # A video that was here says nothing about how long it takes to fetch one.
    return Done(output=output, size=info.duration_s if not video.was_here else 0.0)


async def _frames_of(run: Run, video: Video, fetched: Mapping[str, Any]) -> dict[str, Any]:
    """Unpack the frames of a video that was analysed here before, or find them and pack them for the next time."""
    cache = await run_sync(MediaCache.of, run.settings)
    name = f"{ANALYSIS}-{_options_digest(run)}"
    known = await run_sync(_unpacked, cache, video.sha256, name, run.folder)
    if known is not None:
        run.reporter.log(f"{len(known)} frames are known from an earlier analysis of this video")
        return {"frames": known}
    info = VideoInfo(**fetched["info"])
    await run_sync(cache.make_room, _space_for(info, run.config.frames.format))
    await run_sync(_lend, run, video)
    frames = await run_sync(_scanned, run, video)
    await run_sync(_keep, cache, video.sha256, name, run.folder, frames)
    return {"frames": frames}


def _scanned(run: Run, video: Video) -> dict[str, Any]:
    """Scenes and frames; runs in a thread, the work in tasks."""
    at = VideoAt(
        path=str(video.path),
        sha256=video.sha256,
        size_bytes=video.size_bytes,
        uri=join(run.temp_uri, ELSEWHERE) if has_other_machines() else None,
    )

    def tell(share: float) -> None:
        run.check()
        run.teller.within((VideoStage.SCENES, VideoStage.FRAMES), share)

    folder = _empty(run.folder / FRAMES)
    options = run.config.frames
    runner = on_cluster(at, run.settings, most=run.share, check=run.check)
    found = scan(video.path, folder, format=options.format, quality=options.quality, run=runner, tell=tell)
    return {frame.path.name: [round(frame.pts_s, 6), frame.scene, frame.path.stat().st_size] for frame in found.frames}


def _lend(run: Run, video: Video) -> None:
    """Put the video where other machines find it."""
    place = locate(join(run.temp_uri, ELSEWHERE))
    if has_other_machines() and not place.exists():
        place.upload(video.path)


def _space_for(info: VideoInfo, image_format: str) -> int:
    """Bytes that its frames may take: as files, and packed for the next time."""
    scenes = 1 + info.duration_s / _SECONDS_A_SCENE
    width, height = info.shown_size
    return int(2 * scenes * width * height * _BYTES_A_PIXEL[image_format])


def _keep(cache: MediaCache, sha256: str, name: str, folder: Path, frames: Mapping[str, Any]) -> None:
    """Pack the frames as one file of the cache, so that they are there for as long as it has room."""
    with cache.incoming() as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for file in frames:
                archive.write(folder / FRAMES / file, file)
        with partial.open("rb") as packed:
            digest = hashlib.file_digest(packed, "sha256").hexdigest()
        with cache.adopt(partial, digest):
            cache.keep_result(sha256, name, {"pack": digest, "frames": frames})


def _unpacked(cache: MediaCache, sha256: str, name: str, folder: Path) -> dict[str, Any] | None:
    """The frames of a video that was analysed before, as files again; None where there are none."""
    known = cache.result(sha256, name)
    if not isinstance(known, dict):
        return None
    with cache.hold(known["pack"]) as packed:
        if packed is None:
            return None
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(_empty(folder / FRAMES))
    frames: dict[str, Any] = known["frames"]
    return frames


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _holds(run: Run, output: Mapping[str, Any]) -> bool:
    """Whether the files of an earlier attempt are all here, each with its size."""
    folder = run.folder / FRAMES
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}
    return all(sizes.get(name) == place[2] for name, place in output["frames"].items())


def _frame_inputs(run: Run, fetched: Mapping[str, Any]) -> dict[str, Any]:
    return {"video": fetched["sha256"], "options": _options(run), "analysis": ANALYSIS}


def _options(run: Run) -> dict[str, Any]:
    return run.config.frames.model_dump(mode="json", include={"format", "quality"})


def _options_digest(run: Run) -> str:
    return hashlib.sha256(json.dumps(_options(run), sort_keys=True).encode()).hexdigest()[:16]


def _found(run: Run, fetched: Mapping[str, Any], output: Mapping[str, Any]) -> Found:
    frames = {name: Place(*place) for name, place in output["frames"].items()}
    if not frames:
        raise DataError("no frame was found in the video")
    digest = hashlib.sha256(json.dumps([fetched["sha256"], output["frames"]]).encode()).hexdigest()
    source = VideoSource.model_validate(fetched["source"])
    return Found(folder=run.folder / FRAMES, frames=frames, digest=digest, source=source)
