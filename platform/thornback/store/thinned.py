"""The rows of a long run's charts, as few as can be drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

import sqlalchemy as sa

from thornback.store.metric_rows import METRIC_ROW, Level, metric_row, rows_of
from thornback.store.rows import METRIC_COLUMNS, MetricRow
from thornback.store.tables import TrainingMetric

_metrics = TrainingMetric.__table__  # type: ignore[attr-defined]

# (event_id, phase, the values of METRIC_COLUMNS)
Place = Sequence[Any]
_FIRST_VALUE = 2
_IN_CHUNK = 500


def read_drawn(
    connection: sa.Connection, job_id: str, *, most: int, level: Level, phase: str | None, span: tuple[int, int]
) -> tuple[list[MetricRow], bool]:
    """The thinned rows strictly between the two events of `span`; True where there are more than these."""
    between = (*rows_of(job_id, level=level, phase=phase), _metrics.c.event_id > span[0], _metrics.c.event_id < span[1])
    columns = (_metrics.c.event_id, _metrics.c.phase, *(_metrics.c[name] for name in METRIC_COLUMNS))
    order = _metrics.c.event_id
    places = [tuple(row) for row in connection.execute(sa.select(*columns).where(*between).order_by(order))]
    ids = thin(places, most)
    rows: list[MetricRow] = []
    for first in range(0, len(ids), _IN_CHUNK):
        some = ids[first : first + _IN_CHUNK]
        chosen = sa.select(*METRIC_ROW).where(_metrics.c.training_job_id == job_id, order.in_(some)).order_by(order)
        rows.extend(metric_row(job_id, row) for row in connection.execute(chosen))
    return rows, len(ids) < len(places)


def thin(places: Sequence[Place], most: int) -> list[int]:
    """The event ids of at most `most` rows that draw the same curves as all of them.

    The rows are cut into pieces of the same length; of each stay the first and the last row and, of every column that
    its phase carries, the least, the greatest and one that is no number, so that neither peaks nor gaps are lost.
    """
    if len(places) <= most:
        return [place[0] for place in places]
    carried = _carried(places)
    per_piece = 2 + 3 * sum(len(columns) for columns in carried.values())
    pieces = max(1, most // per_piece)
    edges = [round(piece * len(places) / pieces) for piece in range(pieces + 1)]
    kept: set[int] = set()
    for first, end in pairwise(edges):
        kept.update((first, end - 1), _extremes(places, first, end, carried))
    ranked = sorted(kept)
    step = -(-len(ranked) // most)  # more than 1 only where `most` is less than one piece needs
    return [places[at][0] for at in ranked[::step]]


def _carried(places: Sequence[Place]) -> dict[str, list[int]]:
    """Which columns each phase has values in."""
    found: dict[str, set[int]] = {}
    for place in places:
        columns = found.setdefault(place[1], set())
        if len(columns) < len(METRIC_COLUMNS):
            columns.update(at for at, value in enumerate(place[_FIRST_VALUE:], _FIRST_VALUE) if value is not None)
    return {phase: sorted(columns) for phase, columns in found.items()}


def _extremes(places: Sequence[Place], first: int, end: int, carried: dict[str, list[int]]) -> Iterator[int]:
    for phase, columns in carried.items():
        mine = [at for at in range(first, end) if places[at][1] == phase]
        for column in columns:
            numbers = [at for at in mine if (value := places[at][column]) is not None and isfinite(value)]
            if len(numbers) < len(mine):
                yield next(at for at in mine if (value := places[at][column]) is None or not isfinite(value))
            if numbers:
                yield min(numbers, key=lambda at: places[at][column])
                yield max(numbers, key=lambda at: places[at][column])
