"""thornback report."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from typer.testing import Result

from tests.unit.api.test_reports import history
from tests.unit.cli.conftest import LiveApi
from thornback.cli.report import read_time
from thornback.errors import InvalidInput

Run = Callable[..., Result]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_report_as_tables_and_as_json(live: LiveApi, run_cli: Run) -> None:
    live.run(history(live.platform))
    tables = run_cli("report", "--since", "7d")
    assert tables.exit_code == 0
    assert "3 trainings took 6:40 on average, from order to end 6:50" in tables.stdout
    for words in (
        "Trigger words",
        "TOK",
        "Time by steps",
        "1000",
        "manual",
        "50 %",
        "10 to 19",
        "provider_failed",
        "1.50",
    ):
        assert words in tables.stdout
    answer = json.loads(run_cli("report", "--json").stdout)
    assert answer["durations"]["jobs"] == 3


def test_a_time_without_trainings(live: LiveApi, run_cli: Run) -> None:
    assert "nothing was trained" in run_cli("report", "--until", "2020-01-01").stdout


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (None, None),
        ("7d", datetime(2026, 11, 14, 12, tzinfo=UTC)),
        ("90m", datetime(2026, 11, 21, 10, 30, tzinfo=UTC)),
        ("2w", datetime(2026, 11, 7, 12, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(text: str | None, time: datetime | None) -> None:
    assert read_time(text, "since", NOON) == time


@pytest.mark.parametrize("text", ["", "yesterday", "7", "d", "-3d", "999999w"])
def test_what_is_no_time_names_the_option(text: str) -> None:
    with pytest.raises(InvalidInput, match="since"):
        read_time(text, "since", NOON)


def test_a_wrong_time_is_bad_input(run_cli: Run) -> None:
    assert run_cli("report", "--since", "soon").exit_code == 2
