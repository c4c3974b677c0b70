"""When a run leaves its machines: for those that are drained, and for room where it is elastic."""

from __future__ import annotations

from itertools import pairwise

from train_jobs.common.moving import LONGEST_PATIENCE_S, Look, Mover

A, B = "a" * 56, "b" * 56
NOON = 1_700_000_000.0  # 22:13:20 UTC


def elastic(patience_s: float = 10.0, *, most: int = 4) -> Mover:
    return Mover(most=most, is_elastic=True, patience_s=patience_s)


def test_a_run_leaves_a_node_of_its_own_that_is_drained() -> None:
    mover = Mover(most=2, is_elastic=False, patience_s=10)
    assert mover.see(Look(workers={A: 1, B: 1}, room=8), now=0) is None
    told = mover.see(Look(workers={A: 1, B: 1}, draining={B: NOON}, room=8), now=1)
    assert told == "node bbbbbbbb is being drained and will be gone at 22:13:20 UTC"
    told = mover.see(Look(workers={A: 1, B: 1}, draining={A: None, B: None}), now=1)
    assert told == "nodes aaaaaaaa, bbbbbbbb are being drained"


def test_the_nodes_of_others_may_be_drained() -> None:
    assert elastic().see(Look(workers={A: 4}, draining={B: NOON}), now=0) is None


def test_nothing_is_decided_before_the_workers_have_started() -> None:
    mover = elastic(patience_s=0.0)
    assert mover.see(Look(room=3), now=0) is None
    assert mover.see(Look(draining={A: NOON}), now=99) is None


def test_only_an_elastic_run_grows_and_never_beyond_its_most() -> None:
    assert Mover(most=4, is_elastic=False, patience_s=0).see(Look(workers={A: 2}, room=8), now=0) is None
    assert elastic(0.0).see(Look(workers={A: 4}, room=8), now=0) is None
    assert elastic(0.0).see(Look(workers={A: 2}, room=8), now=0) == "there is room for 4 workers instead of 2"
    assert elastic(0.0).see(Look(workers={A: 2}, room=1), now=0) == "there is room for 3 workers instead of 2"


def test_room_has_to_stay_free_for_a_while() -> None:
    mover = elastic(patience_s=10)
    room, none = Look(workers={A: 1}, room=1), Look(workers={A: 1})
    assert [mover.see(look, now=now) for now, look in ((0, room), (9, room), (9.5, none), (10, room), (19, room))] == [
        None
    ] * 5
    assert mover.see(room, now=20) is not None


def test_growing_in_vain_makes_patient() -> None:
    mover = elastic(patience_s=10)
    room = Look(workers={A: 1}, room=1)
    times: list[float] = []
    now = 0.0
    while len(times) < 4:
        if mover.see(room, now=now):
            times.append(now)
        now += 1
    # The first look after each start begins to count anew: 10 s, then 20, 40 and 80.
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert (times[0], waits) == (10, [21, 41, 81])
    assert mover.see(Look(workers={A: 2}, room=1), now=now + LONGEST_PATIENCE_S) is None  # it grew: it begins anew
