"""`thornback simulate` as a process: its settings, its words, its end."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import pytest
from replicate.client import Client
from replicate.exceptions import ReplicateError
from typer.testing import CliRunner

from thornback.cli.exits import Exit
from thornback.cli.main import app
from thornback.cli.simulate import read_fault
from thornback.errors import InvalidInput
from thornback.net.rules import AddressRules
from thornback.settings import Settings
from thornback.simulator.server import SimulatorServer


def test_it_says_how_to_use_it_and_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "thornback.cli.main", "simulate", "--port", "0", "--speed", "500"]
    command += ["--fault", "throttle:1@replicate.*"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]
        for line in lines:
            export, _, assignment = line.strip().partition(" ")
            name, _, value = shlex.split(assignment)[0].partition("=")
            assert export == "export"
            monkeypatch.setenv(name, value)
        settings = Settings()
        AddressRules.of(settings).check_url(f"{settings.replicate_url}/files/one.png")
        client = Client(api_token=settings.replicate_api_token, base_url=settings.replicate_url)
        inputs = {"prompt": "a cat"}
        with pytest.raises(ReplicateError, match="throttled"):
            client.predictions.create(model="black-forest-labs/flux-schnell", input=inputs)
        made = client.models.predictions.create("black-forest-labs/flux-schnell", input=inputs, wait=20)
        client._client.close()
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"replicate prediction {made.id} black-forest-labs/flux-schnell succeeded" in words
    assert words.rstrip().endswith("orders 1 (1 succeeded), webhooks 0 of 0 accepted, spent 0 USD")


def test_a_taken_port_is_told(simulator: SimulatorServer) -> None:
    result = CliRunner().invoke(app, ["simulate", "--port", simulator.url.rpartition(":")[2]])
    assert result.exit_code == Exit.CONFLICT
    assert "choose another --port" in result.output


def test_an_unknown_fault_is_told() -> None:
    result = CliRunner().invoke(app, ["simulate", "--port", "0", "--fault", "explode"])
    assert result.exit_code == Exit.USAGE
    assert "'explode' is none of drop" in result.output


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("drop", {"kind": "drop", "on": None}),
        ("drop:3", {"kind": "drop", "on": None, "times": 3}),
        ("drop:3@fal.*", {"kind": "drop", "on": "fal.*", "times": 3}),
        ("webhook_drop@webhook.start", {"kind": "webhook_drop", "on": "webhook.start"}),
    ],
)
def test_faults_are_written_short(text: str, options: dict[str, object]) -> None:
    assert read_fault(text) == options


@pytest.mark.parametrize("text", ["drop:", "drop:0", "drop:often@fal.*"])
def test_a_number_of_times_is_a_number(text: str) -> None:
    with pytest.raises(InvalidInput, match="number of times"):
        read_fault(text)
