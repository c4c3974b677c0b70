"""Where Ray's sessions go."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from thornback.errors import BackendError
from thornback.node.ray_folder import announce, prepare_folder, ray_folder

SOCKET = "/session_2026-01-31_12-00-00_123456_1234567/sockets/dash_MetricsHead"


def test_short_homes_keep_them_inside() -> None:
    assert ray_folder(Path("/home/ada/.thornback")) == Path("/home/ada/.thornback/ray/tmp")
    assert ray_folder(Path("/home/ada/.thornback/demo")) == Path("/home/ada/.thornback/demo/ray/tmp")


@pytest.mark.parametrize("length", range(1, 200, 7))
def test_no_socket_has_too_long_a_path(length: int) -> None:
    home = Path("/" + "h" * length)
    inside = ray_folder(home)
    if inside.is_relative_to(home) or len(tempfile.gettempdir()) <= 8:
        assert len(f"{inside}{SOCKET}") <= 107


def test_two_long_homes_have_two_folders() -> None:
    assert ray_folder(Path("/" + "a" * 100)) != ray_folder(Path("/" + "b" * 100))


def test_old_sessions_go_and_the_newest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thornback.node.ray_folder.ray_folder", lambda home: home / "ray" / "tmp")
    folder = tmp_path / "ray" / "tmp"
    for day in range(1, 7):
        (folder / f"session_2026-01-0{day}_00-00-00_1_1" / "logs").mkdir(parents=True)
    (folder / "session_latest").symlink_to(folder / "session_2026-01-06_00-00-00_1_1")
    (folder / "something_else").mkdir()
    assert prepare_folder(tmp_path) == folder
    left = sorted(path.name for path in folder.iterdir())
    assert left == [
        "session_2026-01-05_00-00-00_1_1",
        "session_2026-01-06_00-00-00_1_1",
        "session_latest",
        "something_else",
    ]


def test_nobody_else_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thornback.node.ray_folder.ray_folder", lambda home: home / "ray" / "tmp")
    folder = prepare_folder(tmp_path)
    folder.chmod(0o777)  # as Ray does, each time that a driver connects
    announce(folder, "127.0.0.1:1234")
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert (folder / "ray_current_cluster").read_text() == "127.0.0.1:1234"


def test_a_folder_behind_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    monkeypatch.setattr("thornback.node.ray_folder.ray_folder", lambda home: home / "ours" / "tmp")
    with pytest.raises(BackendError, match="another user"):
        prepare_folder(tmp_path)
