from __future__ import annotations

from collections import Counter

import pytest

from thornback.datasets.clips import Clip
from thornback.datasets.split import split_clips
from thornback.errors import DataError


def clips(counts: dict[str, int]) -> list[Clip]:
    return [Clip(path=f"{label}/{i}.wav", label=label) for label, count in counts.items() for i in range(count)]


def test_each_class_gives_its_share() -> None:
    split = split_clips(clips({"a": 50, "b": 10, "c": 4, "d": 1}), share=0.2, seed=0)
    # a 10 of 50, b 2 of 10, c 1 of 4 (0.8 rounds to 1), d none: its only clip is needed for training
    assert Counter(clip.label for clip in split.val) == {"a": 10, "b": 2, "c": 1}
    assert len(split.train) == 65 - 13
    assert split.warnings == ("no clip to validate on for d",)
    assert not set(split.train) & set(split.val)


def test_the_seed_decides_and_the_order_of_clips_does_not() -> None:
    everything = clips({"a": 30, "b": 30})
    first = split_clips(everything, share=0.3, seed=1)
    assert set(split_clips(everything[::-1], share=0.3, seed=1).val) == set(first.val)
    assert set(split_clips(everything, share=0.3, seed=2).val) != set(first.val)


def test_parts_of_one_file_stay_together() -> None:
    parts = [
        Clip(path=f"{label}{file}.wav", label=label, start=float(part))
        for label in "ab"
        for file in range(6)
        for part in range(5)
    ]
    split = split_clips(parts, share=0.3, seed=0)
    assert not {clip.path for clip in split.train} & {clip.path for clip in split.val}
    assert len(split.train) + len(split.val) == 60


def test_no_share_means_nothing_is_held_out() -> None:
    split = split_clips(clips({"a": 3, "b": 3}), share=0.0, seed=0)
    assert not split.val
    assert "training loss" in split.warnings[0]


def test_a_given_split_without_validation_gets_one_from_training() -> None:
    given = [
        Clip(path=f"{label}{i}.wav", label=label, split="test" if i == 0 else "train")
        for label in "ab"
        for i in range(11)
    ]
    split = split_clips(given, share=0.2, seed=0)
    assert (len(split.train), len(split.val), len(split.test)) == (16, 4, 2)


def test_a_class_only_outside_training_is_refused() -> None:
    given = [Clip(path="a.wav", label="a", split="train"), Clip(path="b.wav", label="b", split="val")]
    with pytest.raises(DataError, match="class 'b' has no clips to train on"):
        split_clips(given, share=0.2, seed=0)
