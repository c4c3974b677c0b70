from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import join, locate
from thornback.cli.exits import Exit
from thornback.cli.main import app


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["storage", *words])
    return done.exit_code, done.stdout


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THORNBACK_HOME", str(tmp_path))
    return tmp_path


def test_a_folder(home: Path) -> None:
    assert json.loads(run("init", "--json")[1]) == {"storage": str(home / "runs"), "changed": True}
    assert json.loads(run("init", "--json")[1])["changed"] is False
    locate(str(home / "runs" / "loras" / "ada" / "1" / "v1" / "config.json")).write_bytes(b"{}")
    locate(str(home / "runs" / "temp" / "1" / "a")).write_bytes(b"fresh")
    shown = json.loads(run("show", "--json")[1])
    assert shown["kind"] == "folder"
    assert shown["areas"]["loras"] == {"files": 1, "size_bytes": 2}
    assert json.loads(run("sweep", "--json")[1]) == {"files": 0, "size_bytes": 0}
    assert "loras/" in run("show")[1]


def test_a_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3.make_bucket()
    monkeypatch.setenv("THORNBACK_STORAGE", s3.uri(bucket, "runs") + "&sse=AES256")
    assert json.loads(run("show", "--json")[1])["rules"] is False
    assert "missing" in run("show")[1]
    assert json.loads(run("init", "--json")[1]) == {"storage": f"s3://{bucket}/runs", "changed": True}
    assert json.loads(run("init", "--json")[1])["changed"] is False
    locate(join(s3.uri(bucket, "runs"), "datasets", "x")).write_bytes(b"four")
    code, text = run("show", "--json")
    shown = json.loads(text)
    assert (code, shown["rules"], shown["encryption"], shown["endpoint"]) == (0, True, "AES256", s3.endpoint)
    assert shown["areas"]["datasets"] == {"files": 1, "size_bytes": 4}
    assert "test:test" not in text  # no credentials


def test_a_bucket_that_is_not_there(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THORNBACK_STORAGE", s3.uri("no-such-bucket-here", "runs"))
    code, _ = run("init")
    assert code != Exit.OK
