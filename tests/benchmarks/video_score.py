"""How the boundaries that a detector found are scored against a clip's truth; the same for every detector.

A boundary is the number of the first frame of a new scene. A cut is found by one detection that is at most two
frames away, and each detection can find one cut only. A fade or dissolve is found by any detection within it
or two frames around it; more of them there are neither right nor wrong. All other detections are false, and
false on a flash if they lie in one or two frames around it. Precision, recall and F1 are of cuts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.fixtures.clips import Trap, Truth

WINDOW = 2


@dataclass(frozen=True, kw_only=True)
class Score:
    """Counts; `exact` are the cuts found at the very frame."""

    cuts: int
    found: int
    exact: int
    false: int
    false_in: dict[Trap, int]
    gradual: int
    gradual_found: int
    missed: tuple[int, ...]
    """Cuts by their frame."""
    wrong: tuple[int, ...]
    """False detections by their frame."""

    @property
    def precision(self) -> float:
        """Of the detections at cuts and nowhere."""
        return self.found / max(1, self.found + self.false)

    @property
    def recall(self) -> float:
        """Of the cuts."""
        return self.found / max(1, self.cuts)

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def score(found: Sequence[int], truth: Truth) -> Score:
    """Nearest pairs of cut and detection first."""
    near = ((abs(cut - at), cut, at) for cut in truth.cuts for at in set(found) if abs(cut - at) <= WINDOW)
    matched: dict[int, int] = {}
    taken: set[int] = set()
    for _, cut, at in sorted(near):
        if cut not in matched and at not in taken:
            matched[cut] = at
            taken.add(at)
    spans = [(one.start - WINDOW, one.end + WINDOW) for one in truth.gradual]
    rest = [at for at in found if at not in taken]
    wrong = [at for at in rest if not any(start <= at <= end for start, end in spans)]
    false_in = {
        kind: sum(
            any(trap.kind is kind and trap.start - WINDOW <= at <= trap.end + WINDOW for trap in truth.traps)
            for at in wrong
        )
        for kind in Trap
    }
    return Score(
        cuts=len(truth.cuts),
        found=len(matched),
        exact=sum(cut == at for cut, at in matched.items()),
        false=len(wrong),
        false_in=false_in,
        gradual=len(spans),
        gradual_found=sum(any(start <= at <= end for at in found) for start, end in spans),
        missed=tuple(cut for cut in truth.cuts if cut not in matched),
        wrong=tuple(sorted(wrong)),
    )


def scenes_without(frames: Sequence[int], truth: Truth) -> list[int]:
    """Numbers of true scenes of which none of these frames is a whole one."""
    return [
        number
        for number, scene in enumerate(truth.scenes)
        if not any(scene.start <= frame < scene.end for frame in frames)
    ]
