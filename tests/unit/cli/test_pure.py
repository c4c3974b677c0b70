"""The parts of the command line that need no server: numbers as text, assignments, exit codes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.cli.demo import confusion_table
from thornback.cli.exits import Exit, exit_of_error, exit_of_job
from thornback.cli.format import duration, number, percent, short_id
from thornback.cli.spark import sparkline
from thornback.cli.spec_file import assign, read_spec
from thornback.client import ServerUnreachable
from thornback.errors import (
    BackendError,
    InvalidInput,
    JobIsFinal,
    JobNotFound,
    SettingsError,
    StoreUnavailable,
    ThornbackError,
)
from thornback.jobs.status import JobStatus


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 10, ""),
        ([1.0], 0, ""),
        ([None, math.nan], 10, ""),
        ([1.0, 1.0], 10, "▄▄"),
        ([0.0, 0.5, 1.0], 10, "▁▅█"),  # 0.5 of 7 steps is 3.5, and Python rounds half to even: 4
        ([0.0, None, 1.0], 10, "▁ █"),
        ([0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ([0.0, math.inf, 1.0], 10, "▁ █"),
    ],
)
def test_sparkline(values: list[float | None], width: int, line: str) -> None:
    assert sparkline(values, width=width) == line


@given(st.lists(st.none() | st.floats(), max_size=200), st.integers(min_value=1, max_value=60))
def test_a_sparkline_is_never_wider_than_asked(values: list[float | None], width: int) -> None:
    line = sparkline(values, width=width)
    assert len(line) in (0, min(width, len(values)))
    assert sparkline(values, width=width, ascii_only=True).isascii()


@pytest.mark.parametrize(("seconds", "text"), [(-3, "0:00"), (42.4, "0:42"), (725, "12:05"), (11_229, "3:07:09")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_values_that_are_missing_are_empty() -> None:
    assert (number(None), percent(None)) == ("", "")
    assert (number(0.123456), number(0.00001), percent(0.4567)) == ("0.1235", "1e-05", "45.7 %")


def test_the_end_of_an_id_tells_jobs_apart() -> None:
    assert short_id("01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11") == "2f6a8c0d4e11"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("a=1", {"a": 1}),
        ("config.epochs=3", {"config": {"epochs": 3}}),
        ("config.learning_rate=1e-3", {"config": {"learning_rate": 0.001}}),
        ("config.learning_rate=3e-4", {"config": {"learning_rate": 0.0003}}),
        ("config.learning_rate=.5", {"config": {"learning_rate": 0.5}}),
        ("config.learning_rate=-1E+3", {"config": {"learning_rate": -1000.0}}),
        ("config.data=1.2.3", {"config": {"data": "1.2.3"}}),
        ("config.amp=null", {"config": {"amp": None}}),
        ("config.amp=true", {"config": {"amp": True}}),
        ("config.data=/a=b.csv", {"config": {"data": "/a=b.csv"}}),
        ("tags.version=2026-01-01", {"tags": {"version": "2026-01-01"}}),
        ("job_name=", {"job_name": None}),
    ],
)
def test_set(assignment: str, expected: dict[str, Any]) -> None:
    target: dict[str, Any] = {}
    assign(target, assignment)
    assert target == expected


def test_a_file_gives_json_values(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("job_name: Größe\ntags: {since: 2026-01-01}\nconfig:\n  learning_rate: 1e-3\n  epochs: 3\n")
    spec = read_spec(file)
    assert spec["config"] == {"learning_rate": 0.001, "epochs": 3}
    assert json.loads(json.dumps(spec)) == spec


@pytest.mark.parametrize("assignment", ["x", "=1", "a..b=1", "job_name.x=1", "a=[1", ".=1"])
def test_set_refuses(assignment: str) -> None:
    with pytest.raises(InvalidInput):
        assign({"job_name": "text"}, assignment)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerUnreachable("x"), 3),
        (StoreUnavailable("x"), 3),
        (InvalidInput("x"), 2),
        (SettingsError("x"), 2),
        (JobNotFound("x"), 4),
        (JobIsFinal("x"), 5),
        (BackendError("x"), 1),
        (ThornbackError("x"), 1),
    ],
)
def test_exit_of_error(error: ThornbackError, code: int) -> None:
    assert exit_of_error(error) == code


def test_exit_of_job_has_three_ends() -> None:
    ends = {status: exit_of_job(status) for status in JobStatus if status.is_final}
    assert ends == {JobStatus.COMPLETED: Exit.OK, JobStatus.FAILED: Exit.FAILED, JobStatus.CANCELLED: Exit.CANCELLED}


def test_confusion_table_has_a_row_and_a_column_for_each_class() -> None:
    table = confusion_table(["am", "fm"], [[3, 0], [1, 2]])
    assert [column.header for column in table.columns] == ["", "am", "fm"]
    assert [str(cell) for cell in table.columns[1].cells] == ["3", "1"]
    assert [str(cell) for cell in table.columns[2].cells] == ["·", "2"]
