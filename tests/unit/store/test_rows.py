"""Events <-> rows."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from thornback.jobs.events import EventKind
from thornback.store.rows import METRIC_COLUMNS, join_values, metric_id, split_values, stream_data

_names = st.sampled_from([*METRIC_COLUMNS, "macro_f1", "images_per_second"]) | st.text(max_size=5)
_values = st.dictionaries(_names, st.none() | st.floats(allow_nan=False, allow_infinity=False))


@given(values=_values)
def test_values_survive_their_columns(values: dict[str, float | None]) -> None:
    columns, extra = split_values(values)
    assert len(columns) == len(METRIC_COLUMNS)
    assert join_values(columns, extra) == values


def test_only_what_has_no_column_goes_into_extra() -> None:
    assert split_values({"train_loss": 1.0, "val_loss": 2.0})[1] is None
    assert split_values({"train_loss": 1.0, "macro_f1": 2.0})[1] == {"macro_f1": 2.0}
    assert split_values({"train_loss": None})[1] == {"train_loss": None}


def test_the_stream_keeps_what_other_tables_do_not() -> None:
    metrics: dict[str, Any] = {"epoch": 1, "batch": None, "phase": "val", "values": {}}
    assert stream_data(EventKind.METRICS, metrics) is None
    assert stream_data(EventKind.METRICS, {**metrics, "step": 3}) == {"step": 3}
    assert stream_data(EventKind.STARTED, {"attempt": 1}) == {"attempt": 1}


@given(event_id=st.integers(0, 2**48 - 1))
def test_a_metric_id_is_a_uuid_of_its_own(event_id: int) -> None:
    made = uuid.UUID(metric_id(event_id))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert made.node == event_id
