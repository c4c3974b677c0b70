"""The cache of states is bounded and forgets what was used least recently."""

from __future__ import annotations

from thornback.jobs.state import JobState
from thornback.store.states import StateCache


def _states(*names: str) -> dict[str, JobState]:
    return {name: JobState(id=name) for name in names}


def test_it_is_bounded() -> None:
    cache = StateCache(2)
    cache.put(_states("a", "b"))
    cache.get(["a"])
    cache.put(_states("c"))
    assert len(cache) == 2
    assert set(cache.get(["a", "b", "c"])) == {"a", "c"}


def test_it_forgets() -> None:
    cache = StateCache()
    cache.put(_states("a", "b"))
    cache.drop("a")
    cache.drop("never there")
    assert set(cache.get(["a", "b"])) == {"b"}
    cache.clear()
    assert cache.get(["b"]) == {}
