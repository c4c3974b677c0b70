"""Figure 2: detection and one frame per scene against PySceneDetect's detect + save_images, in one run.

    python -m tests.benchmarks.video_frames [--clips a b c a10] [--rounds 3] [--workers 2] [--folder DIR]

Needs `pip install scenedetect==0.7.2` beside the project's own packages. Both write one JPEG of quality 95 per
scene in full resolution. Contestants take turns, each time in a fresh process; CPU seconds have the children and
their start in them. Plain decoding in one thread stands beside them: what any detector costs that looks at
every frame. Counted besides: true scenes of which no frame was written, and, of ours, whether each file shows the
very frame that its number says (compared with a decoding of the whole clip).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from tests.benchmarks.measured import Cost, measured, middle
from tests.benchmarks.video_clips import default_folder, make
from tests.benchmarks.video_peers import VERSION, decode, peer_frames
from tests.benchmarks.video_score import scenes_without
from tests.fixtures.clips import Truth
from tests.fixtures.footage import Image
from thornback.media.colour import picture
from thornback.media.run import inline, processes
from thornback.media.scan import scan

SAME_ERROR = 12.0
"""Mean difference of 255 that a JPEG of quality 95 stays under, however noisy the frame and fine its colours."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """One result: images by the frame they show."""

    frames: tuple[int, ...]
    paths: tuple[str, ...] = ()


def own_frames(path: Path, workers: int, into: Path) -> Written:
    """One pass."""
    into.mkdir(parents=True)
    got = scan(path, into, run=processes(workers) if workers > 1 else inline).frames
    return Written(frames=tuple(frame.index for frame in got), paths=tuple(str(frame.path) for frame in got))


def peers(path: Path, detector: str, backend: str, into: Path) -> Written:
    """Two passes; with one image per scene it is the middle one."""
    into.mkdir(parents=True)
    return Written(frames=tuple(peer_frames(path, detector, backend, into)))


def bare(path: Path, threads: int, _into: Path) -> Written:
    """Decode and forget."""
    decode(path, threads)
    return Written(frames=())


Contestant = tuple[str, Callable[..., Written], tuple[object, ...]]


def contestants(workers: int) -> list[Contestant]:
    """The first is what the others are measured by."""
    return [
        ("PySceneDetect content, opencv", peers, ("content", "opencv")),
        ("PySceneDetect content, pyav", peers, ("content", "pyav")),
        ("PySceneDetect adaptive, opencv", peers, ("adaptive", "opencv")),
        *((f"thornback, workers {count}", own_frames, (count,)) for count in sorted({1, workers})),
        ("decode alone, 1 thread", bare, (1,)),
    ]


def untrue(clip: Path, written: Written) -> list[int]:
    """Frames whose file is of another size, unlike all around, or nearer to the frame before or after."""
    wanted = dict(zip(written.frames, written.paths, strict=True))
    apart: dict[int, dict[int, float]] = {number: {} for number in wanted}
    held: dict[int, Image] = {}
    with av.open(clip) as container:
        for number, frame in enumerate(container.decode(video=0)):
            for near in {number - 1, number, number + 1} & set(wanted):
                if near not in held:
                    held[near] = np.asarray(cv2.imread(wanted[near]), np.uint8)
                true = picture(frame)
                same_size = held[near].shape == true.shape
                apart[near][number] = float(cv2.norm(held[near], true, cv2.NORM_L1)) / true.size if same_size else 255.0
            held.pop(number - 1, None)
    return [
        number
        for number, errors in apart.items()
        if errors[number] > SAME_ERROR or errors[number] > min(errors.values()) + 0.1
    ]


def compare(name: str, path: Path, truth: Truth, rounds: int, entered: Sequence[Contestant]) -> None:
    """All on one clip."""
    costs: dict[str, list[Cost[Written]]] = {one[0]: [] for one in entered}
    wrong: list[int] | None = None
    for turn in range(rounds):
        for contestant, call, arguments in entered if turn % 2 == 0 else reversed(entered):
            with tempfile.TemporaryDirectory() as folder:
                cost = measured(call, path, *arguments, Path(folder) / "images")
                if call is own_frames and wrong is None:
                    wrong = untrue(path, cost.result)
            costs[contestant].append(cost)
    base, floor = middle(costs[entered[0][0]]), middle(costs[entered[-1][0]])
    print(f"\nclip {name}: {truth.frames} frames, {len(truth.scenes)} scenes; {rounds} rounds, PySceneDetect {VERSION}")
    print(f"{'':32} cpu s  wall s  cpu x wall x cpu/decode  images  scenes without one  MB here/in a worker")
    for contestant, call, _ in entered:
        cpu, wall = middle(costs[contestant])
        last = costs[contestant][-1]
        lost = scenes_without(last.result.frames, truth)
        print(
            f"{contestant:30} {cpu:7.1f} {wall:7.1f} {base[0] / cpu:6.2f} {base[1] / wall:6.2f} {cpu / floor[0]:9.2f}"
            + (
                f" {len(last.result.frames):9d} {len(lost):12d} {last.peak_mb:18.0f}/{last.child_peak_mb:.0f}"
                if call is not bare
                else ""
            )
        )
        if call is own_frames and lost:
            print(f"{'':30} without: {[(truth.scenes[n].start, truth.scenes[n].end) for n in lost]}")
    print(f"ours: {len(wrong or [])} files show another frame than their number says {wrong or ''}")


def main() -> None:
    """Make the clips, let all take turns, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--clips", nargs="+", default=["a", "b", "c", "a10"], choices=["a", "b", "c", "a10", "b10"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=default_folder())
    parser.add_argument("--only", nargs="+", default=[""], help="contestants whose names have one of these")
    given = parser.parse_args()
    entered = [one for one in contestants(given.workers) if any(part in one[0] for part in given.only)]
    for name in given.clips:
        path, truth = make(name, given.folder)
        compare(name, path, truth, given.rounds, entered)


if __name__ == "__main__":
    main()
