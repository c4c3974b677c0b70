"""What doctor finds, and what it says to do."""

from __future__ import annotations

import socket
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from thornback.errors import SettingsError
from thornback.node import checks, checks_ray, checks_software, checkup
from thornback.node.checks import GIB, Level
from thornback.node.checks_ray import check_door, check_ray
from thornback.node.node import refuse_open
from thornback.node.record import NodeFile, NodeRecord
from thornback.settings import Settings

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("torch", "vision", "audio", "level"),
    [
        ("2.13.0", "0.28.0", "2.11.0", Level.OK),
        ("2.13.0+cpu", "0.28.0", "2.11.0", Level.OK),
        ("2.13.0", "0.28.0", "2.13.0", Level.OK),
        ("2.13.0", "0.27.0", "2.11.0", Level.ERROR),
        ("2.12.0", "0.28.0", "2.11.0", Level.ERROR),
        ("2.13.0", "0.28.0", "2.8.0", Level.ERROR),  # before torchaudio stood on the stable ABI
        ("2.10.0", "0.25.0", "2.11.0", Level.ERROR),  # newer than its torch
    ],
)
def test_torch_family(torch: str, vision: str, audio: str, level: Level) -> None:
    check = checks_software.torch_family(torch, vision, audio)
    assert check.level is level
    assert (check.mend is None) == (level is Level.OK)


EDITABLE = '{"dir_info": {"editable": true}, "url": "file:///home/ada/thornback"}'
WHEEL = '{"archive_info": {}, "url": "file:///dist/thornback-0.1.0-py3-none-any.whl"}'


@pytest.mark.parametrize(
    ("direct_url", "in_cluster", "level", "found"),
    [
        (None, True, Level.OK, "the installed wheel, version 0.1.0; nothing is sent with a job"),
        (WHEEL, True, Level.OK, "the installed wheel, version 0.1.0; nothing is sent with a job"),
        (EDITABLE, False, Level.OK, "the checkout /home/ada/thornback, version 0.1.0; nothing is sent with a job"),
        (
            EDITABLE,
            True,
            Level.WARNING,
            "the checkout /home/ada/thornback, version 0.1.0: other nodes may have another",
        ),
    ],
)
def test_where_the_code_comes_from(direct_url: str | None, in_cluster: bool, level: Level, found: str) -> None:
    check = checks_software.code("0.1.0", direct_url, in_cluster=in_cluster)
    assert check.level is level
    assert check.found.startswith(found)
    assert (check.mend is None) == (level is Level.OK)


def test_a_hook_that_may_upload_code_is_told(tmp_path: Path) -> None:
    env = {"RAY_RUNTIME_ENV_HOOK": "company.hooks.env"}
    [_, hook] = checks_software.check_code(Settings(home=tmp_path, ray_address="auto"), env)
    assert (hook.level, "company.hooks.env" in hook.found) == (Level.WARNING, True)
    assert len(checks_software.check_code(Settings(home=tmp_path), env)) == 1


def test_gpus_as_torch_sees_them() -> None:
    [check] = checks_software.gpus(["13.0|True|1", f"NVIDIA H200|{139 * GIB}|9|0"], has_driver=True)
    assert check.level is Level.OK
    assert check.found == "NVIDIA H200, 139 GiB, compute capability 9.0, CUDA 13.0"


@pytest.mark.parametrize(
    ("line", "has_driver", "level"),
    [("|False|0", False, Level.OK), ("|False|0", True, Level.WARNING), ("13.0|False|0", True, Level.WARNING)],
)
def test_no_gpu_is_only_worth_a_word_where_there_is_a_driver(line: str, has_driver: bool, level: Level) -> None:
    [check] = checks_software.gpus([line], has_driver=has_driver)
    assert check.level is level


def test_a_taken_port_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        [check, *_] = checks.check_ports(Settings(home=tmp_path, port=port, dashboard_port=0))
    assert check.level is Level.ERROR
    assert "--port" in str(check.mend)


def test_a_host_of_another_machine_is_an_error(tmp_path: Path) -> None:
    [check] = checks.check_ports(Settings(home=tmp_path, host="203.0.113.1"))
    assert (check.level, check.mend) == (Level.ERROR, "set THORNBACK_HOST to an address of this machine")


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [(1, 100, Level.ERROR), (5, 50, Level.WARNING), (40, 50, Level.OK), (40, 10_000, Level.WARNING)],
)
def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, total: int, level: Level) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(total * GIB, 0, free * GIB))
    assert {check.level for check in checks.check_disk(Settings(home=tmp_path / "not" / "yet"))} == {level}


@pytest.mark.parametrize(
    ("size", "level"), [(64 / 1024, Level.ERROR), (0.5, Level.WARNING), (2, Level.OK)]
)  # 64 MiB is Docker's default
def test_shared_memory(monkeypatch: pytest.MonkeyPatch, size: float, level: Level) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(size * GIB, 0, size * GIB))
    shared = [check for check in checks.check_memory() if check.name == "shared memory"]
    assert [check.level for check in shared] == [level]
    assert level is Level.OK or "--shm-size" in str(shared[0].mend)


def test_file_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _which: (1024, 4096))
    [check] = checks.check_limits()
    assert (check.level, "ulimit -n 4096" in str(check.mend)) == (Level.WARNING, True)


def test_rays_authentication_and_dashboard(tmp_path: Path) -> None:
    good = check_ray(Settings(home=tmp_path), {})
    assert {check.level for check in good} == {Level.OK}
    bad = check_ray(
        Settings(home=tmp_path, dashboard_host="0.0.0.0"), {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "x:1"}
    )
    assert [check.level for check in bad] == [Level.WARNING, Level.ERROR, Level.WARNING]
    shared = check_ray(Settings(home=tmp_path, dashboard_host="0.0.0.0"), {"RAY_AUTH_MODE": "token"})
    assert [check.level for check in shared] == [Level.OK, Level.WARNING]


@pytest.mark.parametrize(
    ("status", "level"), [(200, Level.WARNING), (401, Level.OK), (403, Level.OK), (500, Level.WARNING)]
)
def test_the_door_of_a_running_ray_is_tried(tmp_path: Path, status: int, level: Level) -> None:
    with dashboard(status) as url:
        node = NodeRecord(node_id="n", pid=1, url="", dashboard_url=url, log="", mode="local")
        NodeFile(tmp_path).write(node)
        [*_, door] = check_ray(Settings(home=tmp_path), {})
    assert (door.name, door.level) == ("ray jobs", level)
    assert check_door(url) == []  # nobody answers any more


def test_an_open_door_that_others_reach_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with dashboard(200) as url:
        monkeypatch.setattr(checks_ray, "is_loopback", lambda host: False)  # this machine has no other address
        [door] = check_door(url)
    assert (door.level, "RAY_AUTH_MODE=token" in str(door.mend)) == (Level.ERROR, True)


@contextmanager
def dashboard(status: int) -> Iterator[str]:
    """Answers whoever asks for jobs without a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/jobs/" else 404)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_key_in_an_address_is_warned_of(tmp_path: Path) -> None:
    assert checkup.check_keys(Settings(home=tmp_path, storage="s3://bucket/x", dataset="/data")) == []
    [found] = checkup.check_keys(Settings(home=tmp_path, storage="s3://AKIA:hush@bucket/x"))
    assert (found.level, "AWS_ACCESS_KEY_ID" in str(found.mend)) == (Level.WARNING, True)
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("allow", "level"),
    [
        ("", Level.OK),
        ("minio.internal,10.1.0.0/16", Level.OK),
        ("0.0.0.0/0", Level.WARNING),
        ("::/0", Level.WARNING),
        ("10.0.0.1/8", Level.ERROR),
    ],
)
def test_where_fetches_may_lead(tmp_path: Path, allow: str, level: Level) -> None:
    assert checkup.check_fetches(Settings(home=tmp_path, fetch_allow=allow))[0].level is level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, Level.OK),
        ({"host": "0.0.0.0"}, Level.OK),  # everybody has to say who they are then
        ({"host": "0.0.0.0", "access": "off"}, Level.ERROR),
        ({"public_url": "https://train.example", "access": "off"}, Level.WARNING),
        ({"public_url": "https://train.example"}, Level.OK),
    ],
)
def test_who_reaches_the_api(tmp_path: Path, changes: dict[str, Any], level: Level) -> None:
    assert checkup.check_exposure(Settings(home=tmp_path, **changes))[0].level is level


def test_an_api_that_is_open_to_the_network_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="THORNBACK_ACCESS is off"):
        refuse_open(Settings(home=tmp_path, host="0.0.0.0", access="off"))
    refuse_open(Settings(home=tmp_path, host="0.0.0.0"))
    refuse_open(Settings(home=tmp_path, access="off"))


def test_database_new_old_present_and_away(tmp_path: Path, sqlite_url: str) -> None:
    def level(url: str) -> Level:
        return checkup.check_database(Settings(home=tmp_path, database_url=url))[0].level

    assert level(f"sqlite:///{tmp_path / 'new.db'}") is Level.OK
    assert not (tmp_path / "new.db").exists()
    assert level(sqlite_url) is Level.OK
    [check] = checkup.check_database(
        Settings(home=tmp_path, database_url="postgresql://ada:secret@127.0.0.1:9/thornback")
    )
    assert check.level is Level.ERROR
    assert "secret" not in check.found


def test_storage_is_written_and_left_as_it_was(tmp_path: Path) -> None:
    storage = tmp_path / "runs"
    [check] = checkup.check_storage(Settings(home=tmp_path, storage=str(storage)))
    assert check.level is Level.OK
    assert list(storage.iterdir()) == []
    (tmp_path / "file").write_text("not a folder")
    [check] = checkup.check_storage(Settings(home=tmp_path, storage=str(tmp_path / "file")))
    assert check.level is Level.ERROR
