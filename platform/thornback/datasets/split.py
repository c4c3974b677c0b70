"""Divides clips into those to train on, to validate on and to test on.

Parts of one file stay together: a model that was trained on the first half of a recording and is
judged by the second half looks better than it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from thornback.datasets.clips import Clip
from thornback.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The three parts; `is_given` where the manifest's own split column decided."""

    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    test: tuple[Clip, ...]
    is_given: bool
    warnings: tuple[str, ...]


def split_clips(clips: Sequence[Clip], *, share: float, seed: int) -> Split:
    """Follow the clips' own split where they have one, else hold out `share` of each class by `seed`.

    Raises:
        DataError: a class has no clips to train on.
    """
    is_given = any(clip.split for clip in clips)
    train = [clip for clip in clips if clip.split in (None, "train")]
    val = [clip for clip in clips if clip.split == "val"]
    test = [clip for clip in clips if clip.split == "test"]
    if not val and share > 0:
        train, val = _stratified(train, share=share, seed=seed)
    labels = sorted({clip.label for clip in clips})
    untrained = sorted(set(labels) - {clip.label for clip in train})
    if untrained:
        raise DataError.field("data", f"the class {untrained[0]!r} has no clips to train on, only in other splits")
    return Split(
        train=tuple(train),
        val=tuple(val),
        test=tuple(test),
        is_given=is_given,
        warnings=tuple(_warnings(labels, train, val)),
    )


def _stratified(clips: Sequence[Clip], *, share: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    files: dict[str, dict[str, None]] = defaultdict(dict)  # label of a file's first clip -> its files, in order
    label_of: dict[str, str] = {}
    for clip in clips:
        files[label_of.setdefault(clip.path, clip.label)][clip.path] = None
    held_out: set[str] = set()
    for place, label in enumerate(sorted(files)):
        paths = sorted(files[label])
        # At least one file to validate on, and never the last one to train on.
        count = min(max(1, round(len(paths) * share)), len(paths) - 1)
        order = np.random.default_rng([seed, place]).permutation(len(paths))
        held_out.update(paths[index] for index in order[:count])
    train = [clip for clip in clips if clip.path not in held_out]
    return train, [clip for clip in clips if clip.path in held_out]


def _warnings(labels: Iterable[str], train: Sequence[Clip], val: Sequence[Clip]) -> Iterable[str]:
    if not val:
        yield "nothing is held out, so the best epoch is chosen by the training loss"
        return
    missing = sorted(set(labels) - {clip.label for clip in val})
    if missing:
        yield f"no clip to validate on for {', '.join(missing)}"
    shared = {clip.path for clip in train} & {clip.path for clip in val}
    if shared:
        yield f"{len(shared)} files are both trained and validated on"
