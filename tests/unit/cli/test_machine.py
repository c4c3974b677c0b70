"""Commands that look at this machine and need no server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import Result

from thornback.node.checks import Check, Level
from thornback.store.migrate import head_revision

Run = Callable[..., Result]


def test_db_upgrade_makes_the_database_and_can_be_repeated(run_cli: Run, tmp_path: Path) -> None:
    first = json.loads(run_cli("db", "upgrade", "--json").stdout)
    assert first == {"from": None, "to": head_revision()}
    assert "already at" in run_cli("db", "upgrade").stdout
    assert (tmp_path / "home" / "thornback.db").is_file()


def dataset(folder: Path, *, classes: tuple[str, ...] = ("owl", "lark")) -> Path:
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(4):
            soundfile.write(folder / name / f"{number}.wav", np.zeros(800, dtype=np.float32), 8000)
    return folder


def test_data_check_reports_and_names_broken_files(run_cli: Run, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "clips")
    (folder / "owl" / "broken.wav").write_bytes(b"no sound")
    result = run_cli("data", "check", folder, "--max-broken-share", "0.5", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (report["found"], report["kept"], report["classes"]) == (9, 8, {"lark": 4, "owl": 4})
    assert "broken.wav" in run_cli("data", "check", folder, "--max-broken-share", "0.5").stdout


@pytest.mark.parametrize("classes", [("owl",), ()])
def test_data_that_cannot_be_trained_on_is_2(run_cli: Run, tmp_path: Path, classes: tuple[str, ...]) -> None:
    result = run_cli("data", "check", dataset(tmp_path / "clips", classes=classes), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "invalid_data"


def test_doctor_looks_at_everything(run_cli: Run, tmp_path: Path) -> None:
    result = run_cli("doctor", "--json")
    value = json.loads(result.stdout)
    names = {check["name"] for check in value["checks"]}
    assert {"python", "torch family", "gpu", "disk", "memory", "file limit", "ray authentication"} <= names
    assert {"ray dashboard", "exposure", "database", "storage", "ray"} <= names
    assert any(name.startswith("port") for name in names)
    assert all(check["mend"] for check in value["checks"] if check["level"] != "ok")
    assert result.exit_code == (0 if value["ok"] else 1)


def test_doctor_is_1_on_an_error_and_shows_how_to_mend_it(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Check(name="disk", level=Level.WARNING, found="little", mend="free some"),
        Check(name="port", level=Level.ERROR, found="taken", mend="use another"),
    ]
    monkeypatch.setattr("thornback.cli.doctor.run_checks", lambda _settings: found)
    result = run_cli("doctor")
    assert result.exit_code == 1
    assert "mend: use another" in result.stdout
    monkeypatch.setattr("thornback.cli.doctor.run_checks", lambda _settings: found[:1])
    assert run_cli("doctor").exit_code == 0


def test_a_setting_that_cannot_work_is_2_and_named(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THORNBACK_PORT", "many")
    result = run_cli("doctor")
    assert result.exit_code == 2
    assert "THORNBACK_PORT" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_commands(run_cli: Run, shell: str) -> None:
    words = {"COMP_WORDS": "thornback wa", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "thornback wa"}
    asked = {**words, "_THORNBACK_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "watch" in run_cli(env=asked, prog_name="thornback").stdout


def test_version_and_help_name_every_command(run_cli: Run) -> None:
    assert re.fullmatch(r"thornback \d+\.\d+\.\d+\n", run_cli("--version").stdout)
    text = run_cli("--help").stdout
    commands = (
        "up down status demo submit list watch logs cancel retry metrics data db doctor delete artifacts download"
    )
    assert all(re.search(rf"\b{command}\b", text) for command in commands.split())
    assert "Exit codes" in text


def test_a_command_line_starts_without_the_heavy_packages() -> None:
    """`thornback list` in a script must not load Ray, torch or SQLAlchemy."""
    code = (
        "import sys, thornback.cli.main; print(*sorted({'ray', 'torch', 'sqlalchemy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
