"""Moving a waiting job by priorities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.errors import Conflict, NotFound
from thornback.jobs.queue import Ranked, plan_move


def queue(*priorities: int) -> list[Ranked]:
    return [Ranked(str(number), priority) for number, priority in enumerate(priorities)]


@given(st.data())
def test_a_move_gives_the_wanted_order_and_leaves_the_others_in_theirs(data: st.DataObject) -> None:
    """Jobs of one priority keep their places among each other, as they do where users hold equal shares."""
    priorities = sorted(data.draw(st.lists(st.integers(-80, 80), min_size=1, max_size=8)), reverse=True)
    order = queue(*priorities)
    ids = [job.job_id for job in order]
    moved = data.draw(st.sampled_from(ids))
    before = data.draw(st.sampled_from([*ids, None]))
    plan = plan_move(order, moved, before=before)

    place = {id: number for number, id in enumerate(ids)}
    new = {job.job_id: plan.get(job.job_id, job.priority) for job in order}
    after = sorted(ids, key=lambda id: (-new[id], place[id]))
    wanted = [id for id in ids if id != moved]
    if before == moved:
        assert plan == {}
    else:
        wanted.insert(len(wanted) if before is None else wanted.index(before), moved)
        assert after == wanted
        # on its own among its neighbours, so that fairness does not take the place away again
        assert plan == {} or list(new.values()).count(new[moved]) == 1
    assert all(new[job.job_id] != job.priority for job in order if job.job_id in plan and job.job_id != moved)


def test_as_few_as_can_be_are_changed() -> None:
    assert plan_move(queue(0, 0, 0, 0), "3", before="0") == {"3": 1}
    assert plan_move(queue(0, 0, 0, 0), "0", before=None) == {"0": -1}
    assert plan_move(queue(0, 0, 0, 0), "3", before="1") == {"0": 2, "3": 1}
    assert plan_move(queue(0, 0, 0, 0), "0", before="3") == {"0": -1, "3": -2}
    assert plan_move(queue(9, 5, 0), "2", before="1") == {"2": 6}
    assert plan_move(queue(9, 5, 0), "2", before=None) == {}
    assert plan_move(queue(9, 5, 0), "0", before="1") == {}


def test_where_the_priorities_end() -> None:
    assert plan_move(queue(100, 100, 3), "2", before="0") == {"0": 99, "1": 99, "2": 100}
    full = queue(100, *range(100, -101, -1))
    with pytest.raises(Conflict, match="leave no room"):
        plan_move(full, "0", before="201")


@pytest.mark.parametrize(("moved", "before"), [("9", "0"), ("0", "9")])
def test_who_does_not_wait(moved: str, before: str) -> None:
    with pytest.raises(NotFound, match="job 9 does not wait"):
        plan_move(queue(0, 0), moved, before=before)
