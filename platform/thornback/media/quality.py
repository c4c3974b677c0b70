"""Which frames are good enough to learn from, and why the others are not.

Each threshold is a share of what is usual in the video, held between a floor and a ceiling: a film shot at night or
through a soft lens is not thrown away for it, and one that is blurred all over is not kept for it either. Of frames
that look alike the sharpest stays, wherever in the video they are.

Strong grain over a blurred picture looks like sharpness to all that is measured here, and is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from thornback.datasets.frame_set import DropReason
from thornback.errors import InvalidInput
from thornback.jobs.video_lora import QualityOptions
from thornback.media.faces import open_detector
from thornback.media.letterbox import NO_BARS, Bars, agreed
from thornback.media.measure import Look, Measured, bars_of, measure
from thornback.media.phash import Seen
from thornback.media.run import Runner, Tell, inline, told

SHORTEST_SIDE = 64  # pixels, below which there is nothing to learn
LEAST_FACE = 0.002  # share of the picture, a face of 64 pixels in 1080p
_FRAMES_FOR_BARS = 48  # spread over the video


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A threshold: a share of the video's median, never below the floor nor above the ceiling."""

    share: float
    floor: float
    ceiling: float

    def of(self, values: Sequence[float]) -> float:
        """The threshold in a video in which these were measured."""
        return min(self.ceiling, max(self.floor, self.share * median(values))) if values else self.floor


LIGHT = Limit(share=0.4, floor=24.0, ceiling=56.0)  # grey level that the brightest 5 % of a frame must reach
SHADE = Limit(share=0.4, floor=24.0, ceiling=56.0)  # how far below white the darkest 5 % must be
DETAIL = Limit(share=0.2, floor=0.02, ceiling=0.08)  # share of the frame that must have texture
# Blurred is what fails both: the first also falls where little is shown, the second hardly depends on that.
SHARPNESS = Limit(share=0.3, floor=6.0, ceiling=150.0)
BLUR = Limit(share=1.3, floor=0.48, ceiling=0.62)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one frame."""

    frame: Path
    kept: bool = True
    reason: DropReason | None = None  # of one that is dropped
    explanation: str = ""  # the reason as a sentence with its figures
    duplicate_of: Path | None = None  # the frame that stays in its place
    scores: Mapping[str, float] = field(default_factory=dict)
    bars: Bars = NO_BARS  # to be cut off with `letterbox.crop`, where that was asked for
    width: int = 0  # pixels, of the whole file; 0 where it cannot be read
    height: int = 0


def judge(
    frames: Sequence[Path],
    options: QualityOptions | None = None,
    *,
    most: int | None = None,
    face_model: Path | None = None,
    run: Runner = inline,
    tell: Tell | None = None,
) -> list[Verdict]:
    """Say of each frame whether it is kept. Nothing is written.

    Args:
        frames: files, in the order of the video.
        options: which checks are made.
        most: how many may be kept; the best are, spread over the video.
        face_model: of a face detector, for `options.faces`.
        run: where they are measured; it must reach the files.
        tell: hears the share that is done.

    Returns:
        One for each frame, in their order.

    Raises:
        InvalidInput: faces are asked for, and there is no model or none that can be used.
    """
    options = options or QualityOptions()
    if options.faces:
        _check_model(face_model)
    bars = find_video_bars(frames, run=run) if options.crop_letterbox else NO_BARS
    model = face_model if options.faces else None
    looks = [Look(frame=frame, bars=bars, face_model=model) for frame in frames]
    measured = list(told(run(measure, looks), [1.0] * len(looks), tell))
    return decide(measured, options, most=most)


def find_video_bars(frames: Sequence[Path], *, run: Runner = inline) -> Bars:
    """The bars that a whole video has, from frames spread over it."""
    step = max(1, len(frames) // _FRAMES_FOR_BARS)
    found = run(bars_of, [Look(frame=frame) for frame in frames[::step]])
    return agreed([bars for bars in found if bars is not None])


def decide(measured: Sequence[Measured], options: QualityOptions, *, most: int | None = None) -> list[Verdict]:
    """The verdicts on what was measured. Pure; arguments as for `judge`."""
    verdicts = [_verdict(one) for one in measured]
    _drop_weak(verdicts, measured, options)
    if options.duplicate_distance >= 0:
        _drop_duplicates(verdicts, measured, options.duplicate_distance)
    if most is not None:
        _drop_surplus(verdicts, measured, most)
    return verdicts


def _check_model(face_model: Path | None) -> None:
    if face_model is None:
        problem = "needs a face detector: set THORNBACK_FACE_MODEL to the file of a YuNet model (ONNX)"
        raise InvalidInput.field("config.quality.faces", problem)
    open_detector(face_model)


def _verdict(one: Measured) -> Verdict:
    scores = {
        "sharpness": round(one.sharpness, 2),
        "blur": round(one.blur, 3),
        "brightness": round(one.mean, 1),
        "light": round(one.light, 1),
        "shade": round(one.shade, 1),
        "detail": round(one.detail, 3),
    }
    if one.face is not None:
        scores["face"] = round(one.face, 4)
    shown = scores if one.is_readable else {}
    return Verdict(frame=one.frame, scores=shown, bars=one.bars, width=one.width, height=one.height)


def _drop(verdicts: list[Verdict], place: int, reason: DropReason, explanation: str, of: Path | None = None) -> None:
    verdicts[place] = replace(
        verdicts[place], kept=False, reason=reason, explanation=explanation, duplicate_of=of, bars=NO_BARS
    )


def _drop_weak(verdicts: list[Verdict], measured: Sequence[Measured], options: QualityOptions) -> None:
    """What is not good enough by itself."""
    whole = [one for one in measured if one.is_readable]
    light = LIGHT.of([one.light for one in whole])
    shade = SHADE.of([255 - one.shade for one in whole])
    detail = DETAIL.of([one.detail for one in whole])
    # Black and plain frames say nothing of how sharp the others are.
    shown = [one for one in whole if one.light >= light and one.detail >= detail]
    sharpness, blur = SHARPNESS.of([one.sharpness for one in shown]), BLUR.of([one.blur for one in shown])
    for place, one in enumerate(measured):
        if not one.is_readable:
            _drop(verdicts, place, DropReason.UNREADABLE, "the file cannot be read as a picture")
        elif min(one.width, one.height) < SHORTEST_SIDE:
            text = f"{one.width} x {one.height} pixels; the shorter side needs {SHORTEST_SIDE}"
            _drop(verdicts, place, DropReason.SMALL, text)
        elif options.exposure and one.light < light:
            text = f"its brightest twentieth begins at grey level {one.light:.0f}; in this video {light:.0f} is needed"
            _drop(verdicts, place, DropReason.DARK, text)
        elif options.exposure and 255 - one.shade < shade:
            most = 255 - shade
            text = f"its darkest twentieth ends at grey level {one.shade:.0f}; in this video {most:.0f} is allowed"
            _drop(verdicts, place, DropReason.BRIGHT, text)
        elif options.detail and one.detail < detail:
            text = f"{one.detail:.1%} of it has texture; in this video {detail:.1%} is needed"
            _drop(verdicts, place, DropReason.PLAIN, text)
        elif options.blur and one.sharpness < sharpness and one.blur > blur:
            text = (
                f"sharpness {one.sharpness:.1f}, blur {one.blur:.2f}; in this video {sharpness:.1f} is needed "
                f"or at most {blur:.2f}"
            )
            _drop(verdicts, place, DropReason.BLURRED, text)
        elif one.face is not None and one.face < LEAST_FACE:
            _drop(verdicts, place, DropReason.NO_FACE, "no face was found in it, or only a tiny one")


def _drop_duplicates(verdicts: list[Verdict], measured: Sequence[Measured], distance: int) -> None:
    """Of those that look alike the sharpest stays: it comes first, and later ones must differ from all that stay."""
    places = [place for place, verdict in enumerate(verdicts) if verdict.kept]
    seen = Seen(len(places))
    for place in sorted(places, key=lambda place: (-measured[place].sharpness, place)):
        nearest = seen.nearest(measured[place].hash)
        if nearest is None or nearest[1] > distance:
            seen.keep(place, measured[place].hash)
            continue
        like = verdicts[nearest[0]].frame
        text = f"looks like {like.name}, which is sharper: {nearest[1]} of 64 bits differ"
        _drop(verdicts, place, DropReason.DUPLICATE, text, of=like)


def _drop_surplus(verdicts: list[Verdict], measured: Sequence[Measured], most: int) -> None:
    """Cut the row of kept frames into as many pieces as may be kept, and keep the least blurred of each."""
    places = [place for place, verdict in enumerate(verdicts) if verdict.kept]
    count = len(places)
    if count <= most:
        return
    for piece in range(most):
        rivals = places[piece * count // most : (piece + 1) * count // most]
        best = min(rivals, key=lambda place: (measured[place].blur, place))
        for place in rivals:
            if place != best:
                text = f"{most} frames are wanted, and {verdicts[best].frame.name} from nearby is sharper"
                _drop(verdicts, place, DropReason.SURPLUS, text)
