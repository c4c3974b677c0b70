"""Turns between receivers, and how little those in trouble can take from the others."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.notify import START as NOW
from thornback.notify.lanes import Lanes, Limits


def fill(lanes: Lanes[int], names: str, count: int) -> None:
    for name in names:
        for number in range(count):
            lanes.put(name, number)


def take_all(lanes: Lanes[int]) -> list[tuple[str, int, bool]]:
    taken = []
    while (one := lanes.take(NOW)) is not None:
        taken.append(one)
    return taken


def test_receivers_take_turns_and_each_has_a_few_at_once() -> None:
    lanes: Lanes[int] = Lanes(Limits(total=10, each=2))
    fill(lanes, "abc", 5)
    taken = take_all(lanes)
    assert [(name, number) for name, number, _ in taken] == [
        ("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("c", 1),
    ]  # fmt: skip
    lanes.done("b", ticket=False)
    assert lanes.take(NOW) == ("b", 2, False)
    assert lanes.take(NOW) is None
    assert lanes.running == 6


def test_all_those_in_trouble_have_half_of_the_places_and_one_each() -> None:
    lanes: Lanes[int] = Lanes(Limits(total=8, each=4))
    fill(lanes, "abcdefgh", 3)
    for name in "abcdefg":
        lanes.mark(name, is_troubled=True, held_until=None)
    taken = take_all(lanes)
    assert sorted(name for name, _, is_troubled in taken if is_troubled) == list("abcd")
    assert [name for name, _, _ in taken].count("h") == 3
    lanes.done("a", ticket=True)
    assert lanes.take(NOW) == ("e", 0, True)  # whose turn it was


def test_one_that_wants_rest_is_left_alone_until_then() -> None:
    lanes: Lanes[int] = Lanes(Limits())
    fill(lanes, "a", 1)
    lanes.mark("a", is_troubled=False, held_until=NOW + timedelta(seconds=1))
    assert lanes.take(NOW) is None
    assert lanes.take(NOW + timedelta(seconds=1)) == ("a", 0, False)


def test_idle_cleared_and_forgotten() -> None:
    lanes: Lanes[int] = Lanes(Limits(total=4, each=1))
    assert lanes.is_idle("a")
    fill(lanes, "a", 3)
    assert not lanes.is_idle("a")
    assert lanes.take(NOW) == ("a", 0, False)
    assert lanes.clear("a") == [1, 2]
    assert not lanes.is_idle("a")  # it has all that it may
    lanes.done("a", ticket=False)
    assert lanes.is_idle("a")
    assert lanes.take(NOW) is None
    assert (lanes.running, lanes.clear("a")) == (0, [])


@given(
    steps=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["put", "trouble", "well", "take", "done"]))),
    total=st.integers(2, 6),
    each=st.integers(1, 3),
)
def test_no_limit_is_ever_passed(steps: list[tuple[str, str]], total: int, each: int) -> None:
    lanes: Lanes[int] = Lanes(Limits(total=total, each=each))
    running: list[tuple[str, bool]] = []
    for name, what in steps:
        if what == "put":
            lanes.put(name, 0)
        elif what in ("trouble", "well"):
            lanes.mark(name, is_troubled=what == "trouble", held_until=None)
        elif what == "take" and (one := lanes.take(NOW)) is not None:
            running.append((one[0], one[2]))
        elif what == "done" and running:
            lane, ticket = running.pop(0)
            lanes.done(lane, ticket=ticket)
        assert lanes.running == len(running) <= total
        assert sum(ticket for _, ticket in running) <= max(1, total // 2)
        assert all([lane for lane, _ in running].count(other) <= each for other in "abcd")
