from __future__ import annotations

from math import inf

import pytest

from thornback.backends.port import Resources
from thornback.dispatch.capacity import Room, fraction, slots


@pytest.mark.parametrize(
    ("free", "bundle", "expected"),
    [
        (Resources(4, 0), Resources(1, 0), 4),
        (Resources(4, 1), Resources(1, 1), 1),
        (Resources(4, 0), Resources(1, 1), 0),
        (Resources(3, 0), Resources(2, 0), 1),
        (Resources(0.3, 0), Resources(0.1, 0), 3),  # 0.3 / 0.1 is 2.9999999999999996
        (Resources(-1, 0), Resources(1, 0), 0),
        (Resources(0, 0), Resources(0, 0), 9),
    ],
)
def test_whole_bundles_that_fit(free: Resources, bundle: Resources, expected: int) -> None:
    assert slots(free, bundle, most=9) == expected


def test_a_bundle_that_asks_for_nothing_fits_without_end() -> None:
    assert fraction(Resources(), Resources()) == inf


def test_bundles_without_a_gpu_leave_the_gpu_node_alone() -> None:
    room = Room({"gpu": Resources(8, 1), "cpu": Resources(4, 0)})
    assert room.place(Resources(1, 0), 5) == {"cpu": 4, "gpu": 1}


def test_the_fullest_node_that_fits_is_filled_first() -> None:
    room = Room({"empty": Resources(4, 0), "half": Resources(2, 0)})
    room.place(Resources(1, 0), 2)
    assert room.holds(Resources(4, 0), 1)


def test_no_more_is_placed_than_fits() -> None:
    room = Room({"a": Resources(2, 0)})
    assert room.place(Resources(1, 0), 5) == {"a": 2}
    assert room.total == Resources(0, 0)


def test_taking_more_than_is_left_leaves_nothing() -> None:
    room = Room({"a": Resources(2, 1)})
    room.take(Resources(3, 0), {"a": 1})
    assert room.total == Resources(0, 1)
