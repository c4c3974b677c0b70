"""Three 1080p clips of five minutes with known scenes, and how detections are scored against them.

    python -m tests.benchmarks.video_clips a b c a10 [--folder /tmp/thornback-clips]

`a` and `b` are the clips that thresholds may be chosen on. `c` is the one that they are only checked on. In each of
them other things are filmed (footage.py, footage_night.py, footage_stage.py), with other colours and numbers,
transitions of other lengths, another encoder preset, bit rate and spacing of key frames. `a10` is `a` twice, ten
minutes, for times alone. Clips are drawn once (some minutes each) and kept in the folder by a hash of what they
are made from.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests.fixtures.clips import Change, Shot, Truth, write_clip
from tests.fixtures.footage import LAND, Maker
from tests.fixtures.footage_night import NIGHT
from tests.fixtures.footage_stage import STAGE

SIZE = (1920, 1080)
FPS = Fraction(24)
SHORTEST, LONGEST = 20, 110
"""Frames of a shot. PySceneDetect drops scenes of less than 0.6 s (15 frames) unless it is told otherwise."""
SAME_PLACE = 0.25
"""Share of the cuts that stay in the same place: same kind of content, same colours, other view."""
FORMAT = 1
"""Of the drawings; raised when a change to them must not meet clips in the folder."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a clip is made from."""

    seed: int
    family: str
    shots: int
    median: float
    """Frames of a shot, in the median; logarithms have a standard deviation of 0.55."""
    dissolves: tuple[int, ...]
    fades: tuple[int, ...]
    flashes: int
    whips: int
    lights: int
    crossers: int
    dark: float
    grainy: float
    options: Mapping[str, str]
    bit_rate: int

    @property
    def makers(self) -> Mapping[str, Maker]:
        """What is filmed."""
        return {"land": LAND, "night": NIGHT, "stage": STAGE}[self.family]


RECIPES = {
    "a": Recipe(
        seed=11,
        family="land",
        shots=188,
        median=32,
        dissolves=(24,) * 8,
        fades=(24,) * 8,
        flashes=10,
        whips=8,
        lights=6,
        crossers=4,
        dark=0.10,
        grainy=0.4,
        options={"preset": "veryfast", "g": "250", "threads": "2"},
        bit_rate=2_100_000,
    ),
    "b": Recipe(
        seed=20_261,
        family="night",
        shots=176,
        median=31,
        dissolves=(12, 15, 18, 20, 28, 32, 36, 40),
        fades=(16, 18, 20, 22, 30, 36, 40, 48),
        flashes=12,
        whips=8,
        lights=6,
        crossers=6,
        dark=0.14,
        grainy=0.5,
        options={"preset": "superfast", "g": "48", "sc_threshold": "0", "bf": "2", "threads": "2"},
        bit_rate=3_500_000,
    ),
    "c": Recipe(
        seed=4_099,
        family="stage",
        shots=180,
        median=33,
        dissolves=(14, 16, 20, 24, 24, 30, 34, 38),
        fades=(18, 20, 24, 24, 28, 32, 38, 44),
        flashes=12,
        whips=8,
        lights=7,
        crossers=5,
        dark=0.12,
        grainy=0.45,
        options={"preset": "veryfast", "g": "96", "bf": "3", "threads": "2"},
        bit_rate=2_800_000,
    ),
}


def plan(recipe: Recipe) -> list[Shot]:
    """The shots: lengths, places and kinds by chance, then transitions and traps dealt out over them."""
    rng = np.random.default_rng(recipe.seed)
    lengths = np.clip(recipe.median * np.exp(rng.normal(0, 0.55, recipe.shots)), SHORTEST, LONGEST).astype(int)
    kinds = list(recipe.makers)
    shots: list[Shot] = []
    for number, length in enumerate(lengths.tolist()):
        last = shots[-1] if shots else None
        stays = last is not None and rng.random() < SAME_PLACE
        seed = recipe.seed * 1_000 + number
        shot = Shot(
            content=last.content if last and stays else str(rng.choice(kinds)),
            place=last.place if last and stays else seed,
            seed=seed,
            length=length,
            gain=float(rng.uniform(0.15, 0.35)) if rng.random() < recipe.dark else float(rng.uniform(0.8, 1.15)),
            grain=float(rng.uniform(2, 7)) if rng.random() < recipe.grainy else 0.0,
        )
        shots.append(shot)
    return with_traps(with_transitions(shots, recipe, rng), recipe, rng)


def with_transitions(shots: Sequence[Shot], recipe: Recipe, rng: np.random.Generator) -> list[Shot]:
    """Dissolves and fades at shots chosen by chance, into another place; no two after each other."""
    shots = list(shots)
    dealt = [(Change.DISSOLVE, frames) for frames in recipe.dissolves] + [
        (Change.FADE, frames) for frames in recipe.fades
    ]
    rng.shuffle(dealt)
    even = [n for n in range(0, len(shots) - 1, 2) if shots[n].place != shots[n + 1].place]
    chosen = rng.choice(even, len(dealt), replace=False).tolist()
    for number, (kind, frames) in zip(chosen, dealt, strict=True):
        shots[number] = dataclasses.replace(shots[number], ending=Change(kind), ending_frames=int(frames))
    return shots


def with_traps(shots: Sequence[Shot], recipe: Recipe, rng: np.random.Generator) -> list[Shot]:
    """One at most in a shot that is long enough, in its middle."""
    shots = list(shots)
    long = [number for number, shot in enumerate(shots) if shot.length >= 36]
    counts = {"flash": recipe.flashes, "whip": recipe.whips, "light": recipe.lights, "crosser": recipe.crossers}
    chosen = rng.choice(long, sum(counts.values()), replace=False).tolist()
    for kind, count in counts.items():
        for _ in range(count):
            number = chosen.pop()
            at = int(shots[number].length * rng.uniform(0.3, 0.5))
            if kind == "flash":
                shots[number] = dataclasses.replace(shots[number], flash=(at, int(rng.integers(1, 4))))
            elif kind == "whip":
                turn = float(rng.uniform(0.6, 1.2) * rng.choice([-1, 1]))
                shots[number] = dataclasses.replace(shots[number], whip=(at, int(rng.integers(6, 11)), turn))
            elif kind == "light":
                share = float(rng.choice([0.45, 0.6, 1.5]))
                shots[number] = dataclasses.replace(shots[number], light=(at, int(rng.integers(10, 18)), share))
            else:
                shots[number] = dataclasses.replace(shots[number], crosser=(at, int(rng.integers(10, 16))))
    return shots


def default_folder() -> Path:
    """In the system's folder for temporary files."""
    return Path(tempfile.gettempdir()) / "thornback-clips"


def make(name: str, folder: Path | None = None) -> tuple[Path, Truth]:
    """The clip and its truth; drawn if the folder has it not."""
    folder = folder or default_folder()
    if name.endswith("10"):
        return twice(name.removesuffix("10"), folder)
    recipe = RECIPES[name]
    told = json.dumps([FORMAT, dataclasses.asdict(recipe)])
    path = folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.mp4"
    truth_path = path.with_suffix(".truth.json")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"draft-{path.name}")
        cv2.setNumThreads(1)
        write_clip(
            draft,
            plan(recipe),
            size=SIZE,
            fps=FPS,
            makers=recipe.makers,
            options=recipe.options,
            bit_rate=recipe.bit_rate,
        )
        draft.with_suffix(".truth.json").replace(truth_path)
        draft.replace(path)
    return path, Truth.read(truth_path)


def twice(name: str, folder: Path) -> tuple[Path, Truth]:
    """The clip's packets, and then once more, in one file."""
    source, truth = make(name, folder)
    path = source.with_name(f"{source.stem}-twice.mp4")
    if not path.exists():
        draft = path.with_name(f"draft-{path.name}")
        with av.open(draft, "w") as output:
            stream = None
            for turn in range(2):
                with av.open(source) as container:
                    video = container.streams.video[0]
                    stream = stream or output.add_stream_from_template(video)
                    assert video.time_base is not None
                    by = round(turn * truth.frames / FPS / video.time_base)
                    for packet in container.demux(video):
                        if packet.dts is not None and packet.pts is not None:
                            packet.dts, packet.pts = packet.dts + by, packet.pts + by
                            packet.stream = stream
                            output.mux(packet)
        draft.replace(path)
    return path, truth.repeated(2)


def main() -> None:
    """Make and describe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="+", choices=["a", "b", "c", "a10", "b10"])
    parser.add_argument("--folder", type=Path, default=default_folder())
    given = parser.parse_args()
    for name in given.names:
        began = time.perf_counter()
        path, truth = make(name, given.folder)
        traps = {kind: sum(trap.kind == kind for trap in truth.traps) for kind in {trap.kind for trap in truth.traps}}
        print(f"{name}: {path}  {path.stat().st_size / 1e6:.1f} MB, made in {time.perf_counter() - began:.0f} s")
        print(f"   {truth.frames} frames, {truth.frames / truth.fps:.1f} s, {len(truth.scenes)} scenes")
        print(f"   {len(truth.cuts)} cuts, {len(truth.gradual)} gradual, {dict(sorted(traps.items()))}")


if __name__ == "__main__":
    main()
