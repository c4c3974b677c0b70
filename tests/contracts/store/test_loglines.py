"""Lines by number: what `LineIndex` says is what one gets by reading the whole log."""

from __future__ import annotations

import random

import pytest

from tests.contracts.store.conftest import Store, job_id, log_lines
from thornback.store import loglines
from thornback.store.loglines import LineIndex, Numbered


def _flat(pieces: list[Numbered]) -> list[tuple[int, str]]:
    return [(piece.number + at, line) for piece in pieces for at, line in enumerate(piece.chunk.lines)]


@pytest.mark.parametrize("counted_at_once", [7, 20_000])
def test_any_range_of_any_rank(store: Store, monkeypatch: pytest.MonkeyPatch, counted_at_once: int) -> None:
    monkeypatch.setattr(loglines, "LINES_PER_MARK", 10)
    monkeypatch.setattr(loglines, "_COUNTED_AT_ONCE", counted_at_once)
    dice = random.Random(5)
    make, other = store.create(), store.create("other")
    index = LineIndex(job_id(make))
    whole: list[tuple[int, str]] = []  # (rank, line)
    for batch in range(3):
        events = []
        for seq in range(batch * 20, batch * 20 + 20):
            rank = dice.choice([-1, 0, 1])
            lines = [f"{seq}.{n} ä" for n in range(dice.choice([1, 2, 15]))]
            whole += [(rank, line) for line in lines]
            events += [log_lines(make, seq, *lines, rank=rank), log_lines(other, seq, "no")]
        store.writer.commit(events)
        index.refresh(store.reader)  # goes on from where it was
        ranks: list[int | None] = [None, -1, 0, 1]
        for of in ranks:
            wanted = list(enumerate(line for whose, line in whole if of in (None, whose)))
            assert index.total(of) == len(wanted)
            for first, count in (
                (0, 5),
                (9, 12),
                (len(wanted) - 3, 50),
                (len(wanted) // 2, 1),
                (len(wanted), 3),
                (0, 0),
            ):
                assert _flat(index.read(store.reader, first, count, rank=of)) == wanted[first : first + count]
            assert _flat(list(index.walk(store.reader, 0, rank=of))) == wanted
    assert index.ranks == [-1, 0, 1]
    assert (index.total(7), index.read(store.reader, 0, 5, rank=7)) == (0, [])


def test_what_came_after_the_count_is_not_read(store: Store) -> None:
    make = store.create()
    store.writer.commit([log_lines(make, 1, "a", "b")])
    index = LineIndex(job_id(make))
    index.refresh(store.reader)
    store.writer.commit([log_lines(make, 2, "c")])
    assert _flat(index.read(store.reader, 0, 10)) == [(0, "a"), (1, "b")]
    index.refresh(store.reader)
    assert _flat(index.read(store.reader, 0, 10)) == [(0, "a"), (1, "b"), (2, "c")]
