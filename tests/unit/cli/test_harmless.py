"""What strangers wrote reaches the terminal as text and does nothing there."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable

import pytest
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.testing import Result

from tests.fixtures.api import FIRST, Reports, now
from tests.unit.cli.conftest import LiveApi
from thornback.cli.harmless import SafeConsole, harmless, harmless_json
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason

HOSTILE = (
    "\x1b[2J\x1b[H",  # an empty screen
    "\x1b]0;renamed\x07",  # the window's name
    "\x1b]52;c;cm0gLXJmIH4=\x07",  # into the clipboard
    "\x1b]8;;http://evil.test\x1b\\here\x1b]8;;\x1b\\",  # a link
    "\x9b31m",  # the same in one character
    "\x1bP$q\x1b\\",
    "100 %\rfailed",
    "\x08\x08\x08ok",
    "\u202eevil\u2066",
    "\x00\x7f\x0e",
)
ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_active_is_left(text: str) -> None:
    assert ACTIVE.search(text)
    assert not ACTIVE.search(harmless(text))
    assert harmless(f"a\t{text}\nö").startswith("a\t")
    assert json.loads(harmless_json(json.dumps(text, ensure_ascii=False))) == text


def test_whatever_is_printed_on_the_console() -> None:
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, color_system="truecolor", width=80)
    everything = "".join(HOSTILE)
    table = Table(title=everything)
    table.add_column(everything)
    table.add_row(everything, Text(everything, style="red"))
    with Live(Panel(table, title=everything), console=console, refresh_per_second=1):
        console.print(everything, Text(everything), f"[bold]{everything}")
        console.log(everything)
    text = out.getvalue()
    for sequence in ("\x1b[2J", "\x1b]0;renamed", "\x1b]52", "\x9b", "\x1bP", "\x08", "\u202e", "\x00"):
        assert sequence not in text
    assert "\x1b[31m" in text, "Rich's own colours stay"


def test_a_job_of_a_stranger(live: LiveApi, run_cli: Callable[..., Result]) -> None:
    everything = "".join(HOSTILE)
    job = live.create(f"name {everything}"[:200])
    reports = Reports(job.id)
    live.record(reports.started(), reports.log(*(f"line {text}" for text in HOSTILE)))
    live.record(reports.artifact("model", f"/runs/{everything}"))
    failed = EventFactory(job.id).failed(FIRST, reason=FailureReason.EXCEPTION, message=f"why {everything}", at=now())
    live.record(failed)
    for command in ("logs", "list", "watch", "artifacts"):
        result = run_cli(command, *([] if command == "list" else [job.id]))
        assert result.exit_code in (0, 1), result.output
        assert ACTIVE.search(result.output) is None, command
    assert "line [2J" in run_cli("logs", job.id).stdout
    for command in ("logs", "list"):
        shown = run_cli(command, *([] if command == "list" else [job.id]), "--json").stdout
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), command
        assert r"\u009b31m" in shown
