"""sweep … and client.sweeps against the real API."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from tests.fixtures.api import Reports
from tests.fixtures.sweeps import RATE, sweep_body, swept, tried
from tests.unit.cli.conftest import LiveApi
from thornback.client import Client
from thornback.jobs.state import JobState

Run = Callable[..., Result]
EXAMPLE = Path(__file__).parents[3] / "train_jobs" / "sweep" / "example.yaml"


@pytest.fixture
def sweep(live: LiveApi) -> JobState:
    """One with a trial that completed, one that was stopped and one that failed; somebody started a job after it."""
    made = live.run(swept(live.platform, budget={"trials": 4}))
    live.run(tried(live.platform, made, 1, 0.9, 0.5))
    live.run(tried(live.platform, made, 2, 0.7, ends="stopped"))
    live.run(tried(live.platform, made, 3, 0.8, ends="failed"))
    live.run(live.platform.create())
    return made


def test_start_reads_a_file_and_makes_its_paths_absolute(
    live: LiveApi, run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path)
    body = sweep_body()
    body["config"]["trial"]["config"]["data"] = "birds"
    del body["kind"], body["job_name"]
    file = tmp_path / "rates.yaml"
    file.write_text(yaml.safe_dump(body))
    made = run_cli("sweep", "start", str(file), "--set", "config.budget.trials=3", "--json")
    assert made.exit_code == 0, made.output
    with Client(live.url) as client:
        job = client.get(json.loads(made.stdout)["id"])
    assert (job.kind, job.job_name) == ("sweep", "rates")
    assert (job.config["budget"]["trials"], job.config["trial"]["config"]["data"]) == (3, str(tmp_path / "birds"))


def test_the_example_is_a_sweep(live: LiveApi, run_cli: Run) -> None:
    made = run_cli("sweep", "start", str(EXAMPLE), "--json")
    assert made.exit_code == 0, made.output
    with Client(live.url) as client:
        job = client.get(json.loads(made.stdout)["id"])
    assert (job.kind, job.job_name, job.config["budget"]["trials"]) == ("sweep", "Classifier search", 12)


def test_what_is_wrong_in_the_file_is_named(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    space = {"config.learning_rat": {"type": "uniform", "low": 0.1, "high": 0.2}}
    file.write_text(yaml.safe_dump(sweep_body(space=space)))
    refused = run_cli("sweep", "start", str(file))
    assert (refused.exit_code, "did you mean config.learning_rate" in refused.stderr) == (2, True)
    file.write_text("kind: convnext\nconfig: {}\n")
    other = run_cli("sweep", "start", str(file))
    assert (other.exit_code, "thornback submit" in other.stderr) == (2, True)
    assert run_cli("sweep", "start", str(tmp_path / "none.yaml")).exit_code == 2


def test_show_is_of_the_last_sweep_and_the_best_first(run_cli: Run, sweep: JobState) -> None:
    shown = run_cli("sweep", "show")
    lines = shown.stdout.splitlines()
    assert "3 of 4 trials (1 completed, 1 stopped, 1 failed), best val_loss 0.5 in trial 1" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["trial", "*", "2", "3"]
    assert "learning_rate" in lines[1]
    assert "stopped by asha at epoch 1" in lines[3]
    falling = run_cli("sweep", "show", sweep.id[-12:], "--sort=-number", "--limit", "1")
    assert [line.split()[0] for line in falling.stdout.splitlines()[2:]] == ["3"]
    assert "and 2 more: --limit 3" in falling.stderr
    body = json.loads(run_cli("sweep", "show", sweep.id, "--json").stdout)
    assert [row["number"] for row in body["trials"]] == [1, 2, 3]
    assert run_cli("sweep", "show", "--sort", "luck").exit_code == 2


def test_best_and_csv(run_cli: Run, sweep: JobState, tmp_path: Path) -> None:
    assert json.loads(run_cli("sweep", "best", "--json").stdout)["parameters"][RATE] == 0.001
    refused = run_cli("sweep", "best", "--publish")
    assert (refused.exit_code, "has made no ONNX file" in refused.stderr) == (5, True)
    assert run_cli("sweep", "best", "--model", "birds").exit_code == 2
    file = tmp_path / "trials.csv"
    assert run_cli("sweep", "csv", sweep.id, str(file)).exit_code == 0
    with file.open(newline="") as lines:
        assert [row["state"] for row in csv.DictReader(lines)] == ["completed", "stopped", "failed"]
    assert run_cli("sweep", "csv").stdout.startswith("number,job_id,state,why,")
    assert run_cli("sweep", "csv", sweep.id, str(tmp_path / "no" / "such.csv")).exit_code == 2


def test_a_job_that_is_no_sweep(live: LiveApi, run_cli: Run) -> None:
    assert run_cli("sweep", "show").exit_code == 4
    job = live.run(live.platform.create())
    shown = run_cli("sweep", "show", job.id)
    assert (shown.exit_code, "no sweep" in shown.stderr) == (4, True)


def test_stop_and_watch_to_the_end(live: LiveApi, run_cli: Run, sweep: JobState) -> None:
    stopped = run_cli("sweep", "stop", sweep.id)
    assert (stopped.exit_code, "stopping" in stopped.stderr) == (0, True)
    live.record(Reports(sweep.id).cancelled())
    watched = run_cli("sweep", "watch")
    assert watched.exit_code == 6
    told = watched.stderr.splitlines()
    assert told[0].startswith("trial 1 completed, val_loss 0.5 (learning_rate 0.001, lr_scheduler cosine)")
    assert "trial 2 stopped, val_loss 0.7" in told[1]
    assert told[1].endswith("stopped by asha at epoch 1")
    lines = run_cli("sweep", "watch", "--json").stdout.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["cancelled"]
