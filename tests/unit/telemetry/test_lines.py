"""Lines of JSON: what our code logs, what libraries log, what is printed."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from thornback.log import configure_logging, get_logger
from thornback.telemetry.printed import JsonStream

ABOUT: dict[str, str | int] = {"process": "worker", "job_id": "a", "attempt": 2, "rank": 1, "trace_id": "0af7"}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    structlog.reset_defaults()


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_says_of_which_run_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", secrets=["hunter2hunter2"], form="json", about=ABOUT)
    get_logger("worker").info("a step", step=3)
    logging.getLogger("somebody.else").warning("careful with %s", "hunter2hunter2")
    ours, theirs = lines(capsys.readouterr().err)
    assert ours.items() >= {"event": "a step", "step": 3, "level": "info", **ABOUT}.items()
    assert theirs.items() >= {"logger": "somebody.else", "level": "warning", **ABOUT}.items()
    assert "hunter2" not in str(theirs["event"])
    assert {"timestamp"} <= ours.keys() & theirs.keys()


def test_text_where_people_ask_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", form="text")
    get_logger("worker").info("a step")
    said = capsys.readouterr().err
    assert "a step" in said
    assert not said.startswith("{")


def test_what_is_printed() -> None:
    out = io.StringIO()
    stream = JsonStream(out, ABOUT)
    stream.write("epoch 1")
    assert out.getvalue() == ""  # until the line ends
    stream.write(" of 2\n\n 10%\r 50%\r100%\n")
    stream.write('{"event": "already one"}\n{not one\n')
    found = lines(out.getvalue())
    assert [line["event"] for line in found] == ["epoch 1 of 2", "100%", "already one", "{not one"]
    assert found[0].items() >= ABOUT.items()
    assert "job_id" not in found[2]
    assert not stream.isatty()
