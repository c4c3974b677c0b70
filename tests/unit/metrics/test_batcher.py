from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thornback.metrics.batcher import Batcher


def test_nothing_waits() -> None:
    batcher: Batcher[str] = Batcher(10)
    assert not batcher
    assert batcher.take() == []


def test_lanes_take_turns_so_that_a_flood_does_not_delay_others() -> None:
    batcher: Batcher[str] = Batcher(3)
    for n in range(1000):
        batcher.put(f"flood{n}", lane="a", weight=1)
    batcher.put("other", lane="b", weight=1)
    assert batcher.take() == ["flood0", "other", "flood1"]


def test_urgent_calls_go_first() -> None:
    batcher: Batcher[str] = Batcher(4)
    for n in range(10):
        batcher.put(f"bulk{n}", lane="a", weight=1)
    batcher.put("cancel", lane="", weight=1, urgent=True)
    assert batcher.take() == ["cancel", "bulk0", "bulk1", "bulk2"]


def test_a_flood_of_urgent_calls_leaves_half_of_the_room() -> None:
    batcher: Batcher[str] = Batcher(4)
    for n in range(10):
        batcher.put(f"urgent{n}", lane="", weight=1, urgent=True)
    batcher.put("bulk", lane="a", weight=1)
    assert batcher.take() == ["urgent0", "urgent1", "bulk"]
    assert batcher.take() == ["urgent2", "urgent3", "urgent4", "urgent5"]


def test_a_call_heavier_than_a_batch_goes_alone() -> None:
    batcher: Batcher[str] = Batcher(10)
    batcher.put("light", lane="a", weight=1)
    batcher.put("heavy", lane="b", weight=50)
    batcher.put("after", lane="c", weight=1)
    assert batcher.take() == ["light"]
    assert batcher.take() == ["heavy"]
    assert batcher.take() == ["after"]


def test_a_lane_that_found_no_room_is_first_next_time() -> None:
    batcher: Batcher[str] = Batcher(10)
    for n in range(5):
        batcher.put(f"small{n}", lane="a", weight=6)
    batcher.put("large", lane="b", weight=9)
    assert batcher.take() == ["small0"]
    assert batcher.take() == ["large"]


calls = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 12), st.booleans()),
    max_size=40,
)


@given(calls, st.integers(1, 20))
def test_every_call_comes_once_in_the_order_of_its_lane_and_within_the_bound(
    given_calls: list[tuple[str, int, bool]], capacity: int
) -> None:
    batcher: Batcher[tuple[int, str, int, bool]] = Batcher(capacity)
    for n, (lane, weight, urgent) in enumerate(given_calls):
        batcher.put((n, lane, weight, urgent), lane=lane, weight=weight, urgent=urgent)
    assert batcher.weight == sum(weight for _, weight, _ in given_calls)
    taken: list[tuple[int, str, int, bool]] = []
    while batcher:
        batch = batcher.take()
        assert batch, "something waits, so something is taken"
        assert len(batch) == 1 or sum(weight for _, _, weight, _ in batch) <= capacity
        taken += batch
    assert batcher.weight == 0
    assert sorted(call[0] for call in taken) == list(range(len(given_calls)))
    for lane in "abc":
        order = [n for n, its, _, urgent in taken if its == lane and not urgent]
        assert order == sorted(order)
    urgent_order = [n for n, _, _, urgent in taken if urgent]
    assert urgent_order == sorted(urgent_order)
