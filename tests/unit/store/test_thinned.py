"""Few rows draw the same curves as many."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from thornback.store.rows import METRIC_COLUMNS
from thornback.store.thinned import thin

LOSS, RATE = METRIC_COLUMNS.index("train_loss"), METRIC_COLUMNS.index("learning_rate")


def place(event_id: int, loss: float | None, rate: float | None = None, phase: str = "train") -> tuple[Any, ...]:
    values: list[float | None] = [None] * len(METRIC_COLUMNS)
    values[LOSS], values[RATE] = loss, rate
    return (event_id, phase, *values)


def test_few_rows_stay_as_they_are() -> None:
    places = [place(number, 1.0) for number in range(100)]
    assert thin(places, 100) == list(range(100))
    assert thin([], 100) == []


def test_peaks_gaps_and_both_ends_stay() -> None:
    losses: list[float | None] = [math.sin(number / 500) for number in range(100_000)]
    losses[31_234], losses[77_777], losses[50_001] = 900.0, -900.0, None
    kept = thin([place(7 + number, loss) for number, loss in enumerate(losses)], 4000)
    assert len(kept) <= 4000
    assert kept == sorted(set(kept))
    assert {7, 7 + 31_234, 7 + 77_777, 7 + 50_001, 7 + 99_999} <= set(kept)
    gaps = [after - before for before, after in pairwise(kept)]
    assert max(gaps) < 3 * 100_000 / (4000 // 5)  # no part is left out


def test_a_column_that_a_phase_never_has_is_no_gap() -> None:
    places = [
        place(number, 1.0 if number % 2 else None, None if number % 2 else 0.1, "train" if number % 2 else "val")
        for number in range(10_000)
    ]
    kept = thin(places, 900)
    assert len(kept) <= 900
    assert {places[at][1] for at in kept} == {"train", "val"}


def test_a_bound_that_is_less_than_a_piece_holds_too() -> None:
    places = [place(number, float(number % 7), 0.1) for number in range(5000)]
    for most in (1, 2, 3, 5):
        assert 1 <= len(thin(places, most)) <= most
