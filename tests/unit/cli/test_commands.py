"""The commands against the real API: what they print where, and what they tell the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.fixtures.api import Reports
from tests.unit.cli.conftest import LiveApi

Run = Callable[..., Result]
CONFIG = {"epochs": 3, "pretrained": False}


def only_json(result: Result) -> Any:
    """The one JSON value that is all of stdout."""
    return json.loads(result.stdout)


def test_submit_a_file_with_changes(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "birds.yaml"
    file.write_text("config:\n  epochs: 3\n  pretrained: false\n")
    result = run_cli("submit", file, "--set", "config.epochs=7", "--set", "tags.team=owls")
    assert result.exit_code == 0
    job = json.loads(run_cli("list", "--json").stdout)["jobs"][0]
    assert result.stdout.strip() == job["id"]
    assert (job["job_name"], job["total_epochs"], job["tags"]) == ("birds", 7, {"team": "owls"})


def test_submit_json_says_everything_on_stdout(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"job_name": "A job", "config": CONFIG}))
    job = only_json(run_cli("submit", file, "--json"))
    assert job["status"] == "queued"
    assert job["config"]["batch_size"] == 32


def test_submit_twice_with_one_key_is_one_job(live: LiveApi, run_cli: Run) -> None:
    arguments = ("submit", "--name", "x", "--set", "config.epochs=3", "--idempotency-key", "k", "--json")
    assert only_json(run_cli(*arguments))["id"] == only_json(run_cli(*arguments))["id"]


def test_submit_makes_a_path_of_this_folder_absolute(
    live: LiveApi, run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    job = only_json(run_cli("submit", "--name", "x", "--set", "config.data=clips", "--json"))
    assert job["config"]["data"] == str(tmp_path / "clips")


def test_invalid_input_names_the_fields_and_is_2(live: LiveApi, run_cli: Run) -> None:
    result = run_cli("submit", "--name", "x", "--set", "config.epochs=0", "--set", "config.batch_size=9999", "--json")
    assert result.exit_code == 2
    error = only_json(result)["error"]
    assert error["code"] == "invalid_input"
    assert {item["field"] for item in error["details"]["errors"]} == {"config.epochs", "config.batch_size"}
    assert "config.batch_size" in result.stderr


def test_a_file_that_is_none_is_2(run_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    for arguments in (("submit", tmp_path / "missing.yaml"), ("submit", tmp_path / "list.yaml"), ("submit",)):
        result = run_cli(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""


def test_no_server_is_3(run_cli: Run) -> None:
    result = run_cli("list", "--url", "http://127.0.0.1:9", "--json")
    assert result.exit_code == 3
    assert only_json(result)["error"]["code"] == "server_unreachable"
    assert "thornback up" in result.stderr


@pytest.mark.parametrize("command", ["watch", "logs", "cancel", "retry", "metrics", "artifacts"])
def test_unknown_jobs_are_4(live: LiveApi, run_cli: Run, command: str) -> None:
    assert run_cli(command, "01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11").exit_code == 4
    assert run_cli(command, "nothing-like-it").exit_code == 4


def test_states_that_forbid_it_are_5(live: LiveApi, run_cli: Run) -> None:
    job = live.create()
    assert run_cli("retry", job.id).exit_code == 5
    live.record(Reports(job.id).started(), Reports(job.id).succeeded())
    assert run_cli("cancel", job.id).exit_code == 5


def test_list_filters_and_shows_ids_that_other_commands_take(live: LiveApi, run_cli: Run) -> None:
    first, second = live.create("owls"), live.create("larks")
    live.record(Reports(second.id).started(), Reports(second.id).progress(50.0), Reports(second.id).epoch(1))
    table = run_cli("list", "--status", "running").stdout
    assert "larks" in table
    assert "owls" not in table
    assert first.id[-12:] in run_cli("list", "--name", "OWL").stdout
    [found] = only_json(run_cli("list", "--status", "queued", "--status", "pending", "--json"))["jobs"]
    assert found["id"] == first.id
    assert only_json(run_cli("cancel", first.id[-12:], "--json"))["cancel_requested"] is True


def test_what_a_running_job_is_asked_for(live: LiveApi, run_cli: Run) -> None:
    config = {"base_model": "/models/flux", "dataset": "/data/fox"}
    job = live.run(live.platform.create_spec({"kind": "lora", "job_name": "fox", "config": config}))
    assert run_cli("save", job.id).exit_code == 5
    live.record(Reports(job.id).started())
    assert "fox: saving after this step" in run_cli("save", job.id).stderr
    assert list(only_json(run_cli("sample", job.id, "--json"))["asked"]) == ["save", "sample"]
    assert "finish" in only_json(run_cli("finish", job.id, "--json"))["asked"]


def test_last_and_parts_of_ids(live: LiveApi, run_cli: Run) -> None:
    jobs = [live.create(f"job {number}") for number in range(2)]
    assert only_json(run_cli("cancel", "last", "--json"))["id"] == jobs[-1].id
    result = run_cli("cancel", "", "--json")  # every id begins with nothing
    assert result.exit_code == 2
    assert jobs[0].id in only_json(result)["error"]["message"]


def test_metrics_as_table_and_json(live: LiveApi, run_cli: Run) -> None:
    job = live.create()
    reports = Reports(job.id)
    live.record(
        reports.started(), reports.epoch(1, train_loss=1.5, val_accuracy=0.25), reports.step(1, 3, train_loss=2.0)
    )
    assert [row["epoch"] for row in only_json(run_cli("metrics", job.id, "--json"))["metrics"]] == [1]
    assert len(only_json(run_cli("metrics", job.id, "--level", "all", "--json"))["metrics"]) == 2
    table = run_cli("metrics").stdout
    assert "25.0 %" in table
    assert "1.5" in table


def test_logs_print_lines_as_they_are(live: LiveApi, run_cli: Run) -> None:
    job = live.create()
    reports = Reports(job.id)
    live.record(reports.started(), reports.log("[bold]brackets[/] stay", "second"), reports.log("third"))
    assert run_cli("logs", job.id).stdout == "[bold]brackets[/] stay\nsecond\nthird\n"
    assert "second" not in run_cli("logs", job.id, "--tail", "1").stdout
    chunks = [json.loads(line) for line in run_cli("logs", job.id, "--json").stdout.splitlines()]
    assert [chunk["lines"] for chunk in chunks] == [["[bold]brackets[/] stay", "second"], ["third"]]


def test_artifacts_and_download(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    job = live.create()
    file = Path(live.platform.settings.run_uri(job.id)) / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"onnx")
    live.record(Reports(job.id).artifact("model.onnx", str(file), type="onnx", size_bytes=4))
    assert "model.onnx" in run_cli("artifacts", job.id).stdout
    result = run_cli("download", job.id, "model.onnx", tmp_path / "here" / "m.onnx", "--json")
    assert Path(only_json(result)["file"]).read_bytes() == b"onnx"
    assert run_cli("download", job.id, "none", tmp_path).exit_code == 4


def test_delete_asks_first(live: LiveApi, run_cli: Run) -> None:
    job = live.create()
    assert run_cli("delete", job.id, input="n\n").exit_code == 1
    assert run_cli("delete", job.id, "--json").exit_code == 2
    assert only_json(run_cli("list", "--json"))["jobs"][0]["id"] == job.id


def test_status_of_a_server_that_runs_elsewhere(live: LiveApi, run_cli: Run) -> None:
    live.create()
    value = only_json(run_cli("status", "--json"))
    assert (value["ready"], value["jobs"]["queued"], value["node"]["state"]) == (True, 1, "not running here")
    assert "1 queued" in run_cli("status").stdout


def test_status_where_a_part_is_away_is_3(live: LiveApi, run_cli: Run) -> None:
    live.platform.dispatcher = RuntimeError("gone")
    result = run_cli("status")
    assert result.exit_code == 3
    assert "dispatcher" in result.stdout


def test_ctrl_c_is_130(live: LiveApi, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thornback.client.Client.page", interrupt)
    assert run_cli("list").exit_code == 130
