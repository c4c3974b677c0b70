"""Pieces of a video as items of work, and the frames of one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from av.video.frame import VideoFrame

from thornback.media.decode import Mode, Video
from thornback.media.ranges import Index, Span, plan
from thornback.media.run import Runner

MOST_GAP = 3.5
"""Frames. Where more of them lie between two that others need, all are decoded."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Enough to decode one part of a video anywhere that `path` leads to the file."""

    path: str
    span: Span
    unit_s: float
    step_s: float
    timed: bool
    mode: Mode
    refreshes: frozenset[int] = frozenset()
    """See `ranges.Index.refreshes`; of the whole video."""


def cut_up(
    path: str, index: Index, run: Runner, reach_s: float, mode: Mode, longest_s: float = math.inf
) -> list[Piece]:
    """One piece for each span of the plan. Without time stamps every frame is decoded, since they are counted."""
    if not index.timed:
        mode = Mode(reference_only=False, rough=mode.rough)
    refreshes = index.refreshes if index.timed else frozenset()
    spans = plan(index, run.workers, reach_s, longest_s)
    return [Piece(path, span, index.unit, index.step_s, index.timed, mode, refreshes) for span in spans]


def weights(pieces: Sequence[Piece], index: Index) -> list[float]:
    """How much of the video each answers for, in units of time."""
    first, last = int(index.stamps[0]), int(index.stamps[-1]) + 1
    bounds = [(piece.span.own_from, piece.span.own_to) for piece in pieces]
    return [float((last if end is None else end) - (first if start is None else start)) for start, end in bounds]


def shown(video: Video, piece: Piece) -> Iterator[tuple[int, VideoFrame]]:
    """The piece's frames with their time stamps, which rise."""
    if piece.span.first is not None:
        video.seek(piece.span.first)
    last: int | None = None
    gap = MOST_GAP * piece.step_s / piece.unit_s
    for count, frame in enumerate(video.frames()):
        stamp = frame.pts if piece.timed else count
        if stamp is None or (last is not None and stamp <= last):
            video.broken += 1
            continue
        if piece.span.first is not None and stamp < piece.span.first:
            continue
        if piece.span.stop is not None and stamp >= piece.span.stop:
            return
        if last is not None and stamp - last > gap and piece.mode.reference_only:
            video.keep_all()
        last = stamp
        yield stamp, frame
