"""thornback audit … and the teams of thornback access …, with client.audit and client.access, on the real API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from tests.unit.cli.conftest import LiveApi
from tests.unit.cli.test_access import guarded
from thornback.cli.exits import Exit

__all__ = ["guarded"]  # the fixture

Run = Callable[..., Result]


def test_teams_and_what_was_done_to_them(guarded: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    run_cli("access", "add-user", "ada")
    added = run_cli("access", "add-team", "vision", "--name", "Vision", "--member", "ada")
    assert added.stdout.strip() == "vision: ada"
    assert run_cli("access", "add-team", "vision").exit_code == Exit.CONFLICT
    assert "Vision" in run_cli("access", "teams").stdout
    users = json.loads(run_cli("access", "users", "--json").stdout)["users"]
    assert {user["name"]: user["teams"] for user in users} == {"ada": ["vision"], "admin": []}
    assert run_cli("access", "remove-member", "vision", "ada").exit_code == Exit.OK
    assert run_cli("access", "add-member", "vision", "admin").stdout.strip() == "vision: admin"
    assert run_cli("access", "remove-team", "vision").exit_code == Exit.OK

    shown = json.loads(run_cli("audit", "list", "--action", "team.", "--json").stdout)["entries"]
    assert [entry["action"] for entry in reversed(shown)] == [
        "team.add",
        "team.add_member",
        "team.remove_member",
        "team.add_member",
        "team.remove",
    ]
    assert "team.remove" in run_cli("audit", "list", "--actor", "admin").stdout
    told = json.loads(run_cli("audit", "verify", "--json").stdout)
    assert told["ok"]

    file = tmp_path / "audit.jsonl"
    assert run_cli("audit", "export", str(file)).exit_code == Exit.OK
    assert "as they were written" in run_cli("audit", "verify", str(file), "--head", told["head"]).stdout
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line.replace('"ada"', '"eve"') for line in lines))
    found = run_cli("audit", "verify", str(file))
    assert (found.exit_code, "was changed" in found.stdout) == (Exit.FAILED, True)
    file.write_text("no log")
    assert run_cli("audit", "verify", str(file)).exit_code == Exit.USAGE
