"""`thornback webhook …` against the real API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import Result

from tests.unit.cli.conftest import LiveApi
from thornback.jobs.status import JobStatus
from thornback.remote.imports import imported_id

Run = Callable[..., Result]
SECRET = "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHNoYXJlZCBrZXk="


@pytest.fixture
def server(live: LiveApi, monkeypatch: pytest.MonkeyPatch) -> LiveApi:
    """One that shares its secret with the command line."""
    live.stop_server()
    settings = live.platform.settings
    live.platform.settings = settings.model_copy(update={"replicate_webhook_secrets": SECRET})
    live.start_server()
    monkeypatch.setenv("THORNBACK_REPLICATE_WEBHOOK_SECRETS", SECRET)
    return live


def lines(result: Result) -> list[dict[str, object]]:
    # the server is in this process and logs what it misses
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def test_a_whole_life(server: LiveApi, run_cli: Run) -> None:
    result = run_cli("webhook", "replay", "--lifecycle", "--id", "abc123", "--json")
    assert result.exit_code == 0, result.output
    steps = lines(result)
    assert [step["status"] for step in steps] == ["starting", *["processing"] * 3, "succeeded"]
    assert all(step["problem"] is None for step in steps)
    job = server.platform.reader.job(imported_id("replicate", "abc123")).state
    assert job.status is JobStatus.COMPLETED
    assert (job.fact("trigger_word"), job.fact("training_steps")) == ("WAYFARER", 300)


def test_only_the_end(server: LiveApi, run_cli: Run) -> None:
    result = run_cli("webhook", "replay", "--success")
    assert result.exit_code == 0
    assert "succeeded" in result.stdout
    assert "taken" in result.stdout


def test_to_a_job_of_ours(server: LiveApi, run_cli: Run) -> None:
    run_cli("webhook", "replay", "--lifecycle", "--id", "abc123")
    job_id = imported_id("replicate", "abc123")
    result = run_cli("webhook", "replay", "--success", "--job", job_id, "--json")
    assert lines(result)[0]["provider_id"] == "abc123"
    assert lines(result)[0]["problem"] is None


def test_a_file_goes_out_as_it_stands(server: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text('{ "id":"f1",  "status":"starting" }')
    assert run_cli("webhook", "replay", file).exit_code == 0
    (row,) = server.platform.reader.deliveries().deliveries
    assert server.platform.reader.delivery(row.id).body == file.read_text()
    file.write_text('[{"id": "f2", "status": "starting"}, {"id": "f2", "status": "failed", "error": "no"}]')
    assert [step["status"] for step in lines(run_cli("webhook", "replay", file, "--json"))] == ["starting", "failed"]


def test_dead_letters_are_listed_shown_tried_again_and_discarded(server: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text("hello")
    assert "dead letter" in run_cli("webhook", "replay", file).stdout
    (row,) = json.loads(run_cli("webhook", "list", "--state", "dead", "--json").stdout)["deliveries"]
    assert row["state"] == "dead"
    number = str(row["id"])
    assert number in run_cli("webhook", "list").stdout
    assert run_cli("webhook", "show", number).stdout.strip() == "hello"
    assert run_cli("webhook", "retry", number).exit_code == 1
    assert run_cli("webhook", "discard", number).exit_code == 0
    assert run_cli("webhook", "discard", number).exit_code == 4


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--success", "--lifecycle"),
        ("missing.json",),
        ("--success", "--item", "1"),
        ("--success", "--provider", "fal"),
        ("--success", "--provider", "fal", "--key", "missing.pem"),
    ],
)
def test_what_cannot_be_sent_says_why(server: LiveApi, run_cli: Run, arguments: tuple[str, ...]) -> None:
    result = run_cli("webhook", "replay", *arguments)
    assert result.exit_code == 2
    assert "error:" in result.stderr


def test_without_a_secret_there_is_nothing_to_sign_with(
    server: LiveApi, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THORNBACK_REPLICATE_WEBHOOK_SECRETS")
    result = run_cli("webhook", "replay", "--success")
    assert result.exit_code == 2
    assert "THORNBACK_REPLICATE_WEBHOOK_SECRETS" in result.stderr


def test_fal_is_signed_with_a_key_of_ones_own(server: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    result = run_cli("webhook", "replay", "--success", "--provider", "fal", "--key", path)
    assert result.exit_code == 1  # this server is not set up for fal
    assert "FAL_KEY" in result.stderr
