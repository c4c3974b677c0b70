from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thornback.cli.exits import Exit
from thornback.cli.main import app

BAR = "flux_train:  10%|█         | 100/1000 [01:40<15:00,  1.00s/it, lr: 4.0e-04 loss: nan]"
SAMPLE = {
    "phase": "training",
    "step": 100,
    "total": 1000,
    "percent": 10.0,
    "rate": 1.0,
    "loss": None,
    "lr": 0.0004,
    "epoch": None,
    "eta_seconds": 900.0,
}


def lines(*arguments: str, given: bytes | None = None) -> list[object]:
    result = CliRunner().invoke(app, ["trainlog", "parse", *arguments], input=given)
    assert result.exit_code == Exit.OK, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_gives_a_json_line_for_each_sample(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(f"Loading\r\n{BAR}\r\n".encode(encoding))
    assert lines(str(path)) == [SAMPLE]


def test_standard_input_with_bytes_that_are_no_text() -> None:
    assert lines("-", given=b"\xf0\x28\x00\n" + BAR.encode()) == [SAMPLE]


def test_the_steps_that_were_asked_for_tell_bars_apart() -> None:
    given = b"100%|##| 15/15 [00:01<00:00, 9.00it/s]\n 50%|# | 5/10 [00:05<00:05, 1.00it/s]\n"
    assert [row["phase"] for row in lines("-", "--steps", "10", given=given) if isinstance(row, dict)] == [
        "other",
        "training",
    ]


def test_nothing_in_gives_nothing_out() -> None:
    assert lines("-", given=b"") == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["trainlog", "parse", str(tmp_path / "none.log")])
    assert result.exit_code == Exit.USAGE


def test_a_pipe_is_followed_while_it_is_open() -> None:
    command = [sys.executable, "-m", "thornback.cli.main", "trainlog", "parse", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{BAR}\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == SAMPLE
        process.stdin.close()
        assert process.stdout.read() == b""
