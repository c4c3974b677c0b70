"""Figure 1: scene detection against PySceneDetect on the same cores in one run, on clips with known scenes.

    python -m tests.benchmarks.video_scenes [--clips a b c] [--rounds 3] [--workers 2] [--folder DIR] [--only NAME …]

Needs `pip install scenedetect==0.7.2` beside the project's own packages. Contestants take turns, each time in a
fresh process: CPU seconds (of children too, and of their start) and wall seconds are the medians over the
rounds, F1 counts cuts found within two frames (video_score.py). `b` is the clip that no threshold was chosen
on (video_clips.py). Clips are drawn first, some minutes each, and kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av

from tests.benchmarks.measured import Cost, measured, middle
from tests.benchmarks.video_clips import default_folder, make
from tests.benchmarks.video_peers import VERSION, decode, peer_scenes
from tests.benchmarks.video_score import Score, score
from tests.fixtures.clips import Trap, Truth
from thornback.media.run import inline, processes
from thornback.media.scenes import find_scenes


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A function in a module and what follows the clip's path in its arguments."""

    name: str
    call: Callable[..., object]
    arguments: tuple[object, ...]
    finds: bool = True
    """Its result are boundaries."""


def own_scenes(path: Path, workers: int) -> list[int]:
    """A cut's first new frame; of a gradual change the middle."""
    scenes = find_scenes(path, run=processes(workers) if workers > 1 else inline).scenes
    return [(before.end + after.start) // 2 for before, after in pairwise(scenes)]


def contestants(workers: int) -> list[Contestant]:
    """Ours with one worker and with all; the peer's detectors with its two decoders; decoding alone."""
    peers = [
        Contestant(name=f"PySceneDetect {detector}, {backend}", call=peer_scenes, arguments=(detector, backend))
        for detector in ("content", "adaptive", "histogram")
        for backend in ("opencv", "pyav")
    ]
    own = [
        Contestant(name=f"thornback, {count} worker{'s' * (count > 1)}", call=own_scenes, arguments=(count,))
        for count in sorted({1, workers})
    ]
    bare = [
        Contestant(
            name=f"decode alone, {count} thread{'s' * (count > 1)}", call=decode, arguments=(count,), finds=False
        )
        for count in sorted({1, workers})
    ]
    return [*own, *peers, *bare]


def show(contestant: Contestant, costs: list[Cost[object]], base: tuple[float, float], truth: Truth) -> Score | None:
    """One line; times against `base`, the peer's default."""
    cpu, wall = middle(costs)
    line = f"{contestant.name:28} {cpu:7.1f} {wall:7.1f} {base[0] / cpu:6.2f} {base[1] / wall:6.2f}"
    line += f" {truth.frames / wall:6.0f}"
    if not contestant.finds:
        print(line)
        return None
    found = costs[-1].result
    assert isinstance(found, list)
    got = score(found, truth)
    traps = "/".join(str(got.false_in[kind]) for kind in Trap)
    print(
        f"{line}  {got.precision:.3f} {got.recall:.3f} {got.f1:.3f} {got.exact:4d}/{got.cuts}"
        f" {got.gradual_found:2d}/{got.gradual} {got.false:4d}  {traps}"
    )
    return got


def compare(name: str, path: Path, truth: Truth, entered: Sequence[Contestant], rounds: int) -> None:
    """All contestants on one clip."""
    costs: dict[str, list[Cost[object]]] = {one.name: [] for one in entered}
    for turn in range(rounds):
        for one in entered if turn % 2 == 0 else reversed(entered):
            costs[one.name].append(measured(one.call, path, *one.arguments))
    default = next((one.name for one in entered if "content, opencv" in one.name), entered[0].name)
    base = middle(costs[default])
    print(
        f"\nclip {name}: {truth.frames} frames, {len(truth.cuts)} cuts, {len(truth.gradual)} gradual;"
        f" {rounds} rounds, PySceneDetect {VERSION}, PyAV {av.__version__}; times faster than `{default}`"
    )
    print(f"{'':28}   cpu s  wall s  cpu x wall x    fps      P     R    F1    exact  grad false  {'/'.join(Trap)}")
    for one in entered:
        got = show(one, costs[one.name], base, truth)
        if got is not None and one.call is own_scenes:
            print(f"{'':28} missed cuts {list(got.missed)}, false {list(got.wrong)}")


def main() -> None:
    """Make the clips, let all take turns, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--clips", nargs="+", default=["a", "b", "c"], choices=["a", "b", "c", "a10", "b10"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=default_folder())
    parser.add_argument("--only", nargs="+", default=[""], help="contestants whose names have one of these")
    given = parser.parse_args()
    entered = [one for one in contestants(given.workers) if any(part in one.name for part in given.only)]
    for name in given.clips:
        path, truth = make(name, given.folder)
        compare(name, path, truth, entered, given.rounds)


if __name__ == "__main__":
    main()
