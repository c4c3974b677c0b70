"""thornback access … and client.access against the real API, which asks everybody who they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from tests.unit.cli.conftest import LiveApi
from thornback.access.first import make_first_admin
from thornback.cli.exits import Exit

Run = Callable[..., Result]


@pytest.fixture
def guarded(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveApi]:
    """An API with access control; the first admin's key is THORNBACK_API_KEY."""
    api = LiveApi(sqlite_url, tmp_path)
    try:
        api.start_server(access="on")
        key = api.run(make_first_admin(api.platform.recorder.administer, at=datetime.now(UTC)))
        assert key is not None
        monkeypatch.setenv("THORNBACK_URL", api.url)
        monkeypatch.setenv("THORNBACK_API_KEY", key)
        yield api
    finally:
        api.close()


def test_the_first_admin_is_made_once(guarded: LiveApi) -> None:
    assert guarded.run(make_first_admin(guarded.platform.recorder.administer, at=datetime.now(UTC))) is None


def test_users_and_keys(guarded: LiveApi, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_cli("access", "whoami").stdout.strip() == "admin, admin"
    added = run_cli("access", "add-user", "Ada", "--password", input="correct horse\ncorrect horse\n")
    assert "ada, trainer" in added.stdout
    users = json.loads(run_cli("access", "users", "--json").stdout)["users"]
    assert [(user["name"], user["role"], user["has_password"]) for user in users] == [
        ("ada", "trainer", True),
        ("admin", "admin", False),
    ]
    made = json.loads(run_cli("access", "add-key", "laptop", "--user", "ada", "--days", "30", "--json").stdout)
    assert "laptop" in run_cli("access", "keys").stdout
    assert made["api_key"] not in run_cli("access", "keys", "--json").stdout

    monkeypatch.setenv("THORNBACK_API_KEY", made["api_key"])
    assert run_cli("access", "whoami").stdout.strip() == "ada, trainer"
    refused = run_cli("access", "users")
    assert (refused.exit_code, "needs the role admin" in refused.stderr) == (Exit.FAILED, True)
    assert run_cli("access", "revoke-key", made["id"]).exit_code == Exit.OK
    gone = run_cli("list")
    assert (gone.exit_code, "revoked or has expired" in gone.stderr) == (Exit.FAILED, True)


def test_without_a_key_nothing_is_shown(guarded: LiveApi, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded.create("secret plans")
    monkeypatch.delenv("THORNBACK_API_KEY")
    result = run_cli("list")
    assert (result.exit_code, "Bearer tbk_" in result.stderr) == (Exit.FAILED, True)
    assert "secret plans" not in result.output
    assert "nobody" in run_cli("access", "whoami").stdout


def test_the_last_admin_stays(guarded: LiveApi, run_cli: Run) -> None:
    result = run_cli("access", "change-user", "admin", "--role", "viewer")
    assert (result.exit_code, "no active admin would be left" in result.stderr) == (Exit.CONFLICT, True)


def test_a_lost_key_is_replaced_in_the_database(
    guarded: LiveApi, run_cli: Run, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setenv("THORNBACK_DATABASE_URL", sqlite_url)
    key = run_cli("access", "recover").stdout.strip()
    assert key.startswith("tbk_")
    monkeypatch.setenv("THORNBACK_API_KEY", key)
    assert run_cli("access", "whoami").stdout.strip() == "admin, admin"
