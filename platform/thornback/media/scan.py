"""Scenes and a picture of each, in one pass over the video.

Going to a scene's frame means to decode from the key frame before it; where scenes are short, that is more than the
whole video. Here every frame is decoded once, with the deblocking filter, and those worth keeping are encoded as
soon as their scene has ended. Scenes that are left without one, which are few, are gone to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from thornback.media.candidates import Held, Pool, best, settle_all
from thornback.media.cuts import REACH_S as RULES_REACH_S
from thornback.media.cuts import Boundary, How, Rules, boundaries
from thornback.media.decode import Mode, opened
from thornback.media.frames import Encoded, Encoding, Format, Frame, divide, edges, fetch, write
from thornback.media.pieces import Piece, cut_up, shown, weights
from thornback.media.ranges import Index, read_index
from thornback.media.run import Runner, Tell, inline, told
from thornback.media.scenes import Options, Scenes, arranged, joined
from thornback.media.signals import REACH_S, Meter, Signals
from thornback.media.tiny import tiny

BATCH = 16
"""Frames between two decisions; more would have to be held meanwhile."""
LONGEST_S = 60.0
"""Of a piece: its pictures are in memory until it is done."""
SCAN_SHARE = 0.97
"""Of the whole work, for progress; the rest are the scenes that are gone to."""


@dataclass(frozen=True)
class Scan:
    """What is in a video."""

    scenes: Scenes
    frames: list[Frame]
    """One of each scene that can be decoded, in order."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """An item of work."""

    path: str
    piece: Piece
    rules: Rules
    encoding: Encoding


@dataclass(frozen=True)
class Swept:
    """What it gives."""

    signals: Signals
    pictures: tuple[Encoded, ...]
    broken: int


def scan(
    path: Path,
    into: Path,
    *,
    run: Runner = inline,
    options: Options | None = None,
    format: Format = "jpeg",
    quality: int = 95,
    tell: Tell | None = None,
) -> Scan:
    """Tell the scenes of a video and write a sharp picture of each to `into` (see `frames.extract` for names).

    Raises:
        DataError: the file is no video, or nothing in it can be decoded.
    """
    options, encoding = options or Options(), Encoding(format, quality)
    index = read_index(path)
    pieces = cut_up(str(path), index, run, REACH_S, Mode(reference_only=not options.every_frame), LONGEST_S)
    items = [Sweep(str(path), piece, options.rules, encoding) for piece in pieces]
    swept = told(run(sweep, items), weights(pieces, index), None if tell is None else lambda f: tell(SCAN_SHARE * f))
    parts = list(swept)
    signals = joined((part.signals for part in parts), path)
    scenes = arranged(signals, index, options, sum(part.broken for part in parts))
    pictures = [picture for part in parts for picture in part.pictures]
    frames = list(_written(pictures, scenes, index, into, format))
    frames += _gone_to(path, index, scenes, frames, encoding, into, run)
    if tell is not None:
        tell(1.0)
    return Scan(scenes, sorted(frames, key=lambda frame: frame.scene))


def _written(pictures: Sequence[Encoded], scenes: Scenes, index: Index, into: Path, form: Format) -> Iterator[Frame]:
    for scene in scenes.scenes:
        chosen = best(pictures, *edges(index, scene, scenes), index.unit)
        if chosen is not None:
            yield write(chosen, scene.index, index, into, form)


def _gone_to(
    path: Path, index: Index, scenes: Scenes, frames: Sequence[Frame], encoding: Encoding, into: Path, run: Runner
) -> list[Frame]:
    """The scenes without a picture."""
    have = {frame.scene for frame in frames}
    missing = [scene for scene in scenes.scenes if scene.index not in have]
    if not missing:
        return []
    found = [pair for part in run(fetch, divide(path, index, missing, scenes, encoding, run)) for pair in part]
    return [write(encoded, scene, index, into, encoding.format) for scene, encoded in found]


def sweep(item: Sweep) -> Swept:
    """The signals and the pictures of one piece."""
    cv2.setNumThreads(1)
    piece = item.piece
    with opened(item.path, piece.mode) as video:
        aspect = float(video.stream.sample_aspect_ratio or 1)
        pictures: list[Encoded] = []

        def keep(held: Held) -> None:
            pictures.append(item.encoding.encode(held.stamp, held.frame, held.look, aspect))

        judge = _Judge(piece, item.rules)
        for count, (stamp, frame) in enumerate(shown(video, piece), start=1):
            step = judge.meter.add(stamp, tiny(frame), refresh=stamp in piece.refreshes)
            if piece.span.owns(stamp):
                judge.pool.offer(stamp, frame, step)
            if count % BATCH == 0:
                settle_all(judge.pool, judge.decided(), keep)
                judge.thin()
        settle_all(judge.pool, judge.decided(last=True), keep)
        return Swept(judge.signals().within(piece.span), tuple(pictures), video.broken)


class _Judge:
    """Follows the boundaries of a piece while it is decoded."""

    def __init__(self, piece: Piece, rules: Rules) -> None:
        self.unit_s, self.rules = piece.unit_s, rules
        self.reach = round(RULES_REACH_S / piece.unit_s)
        self.meter = Meter(piece.unit_s, piece.step_s)
        self.pool = Pool(piece.unit_s)
        self._parts: list[Signals] = []
        self._recent: Signals | None = None
        self._start: Boundary | None = None
        self._decided = 0

    def signals(self) -> Signals:
        """All, so far."""
        return Signals.join(self._parts)

    def decided(self, *, last: bool = False) -> list[Boundary]:
        """The start of the scene that goes on, and the boundaries that are certain since then."""
        fresh = self.meter.take(last=last)
        self._parts.append(fresh)
        recent = fresh if self._recent is None else Signals.join([self._recent, fresh])
        if not len(recent):
            return []
        newest = int(recent.stamps[-1])
        if self._start is None:
            self._start = Boundary(int(recent.stamps[0]), How.START)
            self._decided = self._start.stamp
        until = newest + 1 if last else newest - self.reach
        found = boundaries(recent, self.unit_s, self.rules)
        bounds = [self._start, *(one for one in found if self._decided < one.stamp <= until)]
        self._decided = max(self._decided, until)
        keep_from = int(recent.stamps.searchsorted(self._decided - 2 * self.reach))
        self._recent = recent[keep_from:]
        self._start = bounds[-1]
        return [*bounds, Boundary(newest + 1, How.CUT)] if last else bounds

    def thin(self) -> None:
        """Let frames go that the scene that goes on will not need."""
        if self._start is not None:
            self.pool.thin(self._start, self._decided)
