"""upload: in parts, on from where it ended, and refused in words."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.unit.cli.conftest import LiveApi
from tests.unit.datasets.pictures_made import picture
from tests.unit.datasets.test_image_zip import zipped
from thornback.client import Backoff, Client, ServerUnreachable, resumable
from thornback.errors import DataError, UploadGone

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ZIP that takes several parts."""
    monkeypatch.setattr(resumable, "PART_BYTES", 1000)
    members = {"a.png": picture(), "a.txt": b"TOK", "b.bmp": picture("BMP", (40, 30))}
    return zipped(tmp_path / "mira.zip", members, compression=0)


def test_a_file_becomes_an_address(live: LiveApi, run_cli: Run, file: Path) -> None:
    done = run_cli("upload", file)
    assert done.exit_code == 0
    assert done.stdout.startswith("upload:")
    assert "2 pictures, 1 captions" in done.stderr
    told = json.loads(run_cli("upload", file, "--json").stdout)
    assert (told["state"], told["images"], told["offset"]) == ("ready", 2, file.stat().st_size)
    assert told["uri"] != done.stdout.strip()  # a finished one is not gone on with


def test_what_is_no_dataset(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(b"PK\x03\x04" + b"?" * 3000)
    done = run_cli("upload", path)
    assert (done.exit_code, "ZIP" in done.stderr) == (2, True)


def test_the_same_command_goes_on(live: LiveApi, run_cli: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    real = resumable.Sending._send

    def counted(self: Any, upload: Any, opened: Any) -> None:
        if len(sent) == 3:
            raise KeyboardInterrupt
        sent.append(upload.offset)
        real(self, upload, opened)

    monkeypatch.setattr(resumable.Sending, "_send", counted)
    assert run_cli("upload", file).exit_code != 0
    assert sent == [0, 1000, 2000]
    sent.append(-1)
    assert run_cli("upload", file).exit_code == 0
    assert sent[3:] == [-1, *range(3000, file.stat().st_size, 1000)]


def test_a_server_that_comes_back(live: LiveApi, file: Path) -> None:
    lost: list[str] = []
    stopped = threading.Event()

    def progress(here: int, _total: int) -> None:
        if here >= 2000 and not stopped.is_set():
            stopped.set()
            live.stop_server()

    def came_back(error: Any, _delay: float) -> None:
        lost.append(error.code)
        if len(lost) == 2:
            live.start_server()

    with Client(live.url, backoff=Backoff(first_s=0.01, longest_s=0.05)) as client:
        upload = client.upload(file, on_progress=progress, on_lost=came_back)
    assert upload.state == "ready"
    assert lost == ["server_unreachable", "server_unreachable"]


def test_a_server_that_does_not_come_back(live: LiveApi, file: Path) -> None:
    live.stop_server()
    backoff = Backoff(first_s=0.001, longest_s=0.001, give_up_after_s=0.01)
    with Client(live.url, backoff=backoff) as client, pytest.raises(ServerUnreachable):
        client.upload(file, upload_id="01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11")


def test_another_file_under_an_old_id(live: LiveApi, file: Path, tmp_path: Path) -> None:
    other = zipped(tmp_path / "other.zip", {"a.png": picture()})
    ids: list[str] = []
    with Client(live.url) as client:
        client.upload(file, on_begun=ids.append)
        with pytest.raises(DataError, match="bytes, and this one has"):
            client.upload(other, upload_id=ids[0])


def test_one_that_was_left_alone_is_begun_anew(live: LiveApi, run_cli: Run, file: Path, tmp_path: Path) -> None:
    with Client(live.url) as client:
        ids: list[str] = []

        def interrupted(here: int, _total: int) -> None:
            if here:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            client.upload(file, on_begun=ids.append, on_progress=interrupted)
        offset = tmp_path / "uploads" / ids[0] / "offset"
        os.utime(offset, (0, 0))
        with pytest.raises(UploadGone):
            client.upload(file, upload_id=ids[0])
    begun = tmp_path / "home" / "uploads-begun.json"
    begun.parent.mkdir(exist_ok=True)
    facts = file.stat()
    begun.write_text(json.dumps({f"{live.url} {file} {facts.st_size} {facts.st_mtime_ns}": ids[0]}))
    assert run_cli("upload", file).exit_code == 0
    assert json.loads(begun.read_text()) == {}
