"""thornback quota … and client.quotas against the real API."""

from __future__ import annotations

import json
from collections.abc import Callable

from typer.testing import Result

from tests.fixtures.remote import LORA, Told
from tests.unit.cli.conftest import LiveApi
from thornback.cli.exits import Exit

Run = Callable[..., Result]


def test_set_shown_listed_and_cleared(live: LiveApi, run_cli: Run) -> None:
    given = ("--jobs", "3", "--usd-month", "12.5", "--gpu-hours", "none", "--note", "until the fair")
    shown = run_cli("quota", "set", "local", *given).stdout
    assert "user local (set by local: until the fair)" in shown
    state = json.loads(run_cli("quota", "show", "--json").stdout)["quotas"][0]
    assert {level["quota"]: level["limit"] for level in state["levels"]} == {"jobs": 3, "usd_month": 12.5}
    listed = run_cli("quota", "list").stdout
    assert "jobs 3, gpu_hours none, usd_month 12.5" in listed
    assert "each team" in listed
    assert "set by" not in run_cli("quota", "clear", "local").stdout
    assert json.loads(run_cli("quota", "show", "local", "--json").stdout)["quotas"][0]["own"] is None


def test_what_makes_no_sense_is_refused(run_cli: Run, live: LiveApi) -> None:
    assert run_cli("quota", "set", "ada").exit_code == Exit.USAGE
    refused = run_cli("quota", "set", "ada", "--jobs", "many")
    assert refused.exit_code == Exit.USAGE
    assert "--jobs: 'many' is neither a number nor `none`" in refused.stderr
    assert run_cli("quota", "set", "nobody", "--team", "--jobs", "1").exit_code != Exit.OK


def test_spend(run_cli: Run, live: LiveApi) -> None:
    job = live.run(live.platform.create_spec(LORA, user="ada"))
    live.run(live.platform.record(Told(job).facts(cost_usd=1.25), Told(job).succeeded()))
    shown = run_cli("quota", "spend", "--by", "user", "--since", "1d").stdout.split()
    assert shown[-5:] == ["ada", "1", "1.25", "0.00", "0.00"]
    [row] = json.loads(run_cli("quota", "spend", "--json").stdout)["rows"]
    assert (row["user"], row["backend"], row["charged_usd"]) == ("ada", "replicate", 1.25)
    assert run_cli("quota", "spend", "--by", "colour").exit_code != Exit.OK
