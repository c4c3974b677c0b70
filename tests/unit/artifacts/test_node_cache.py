"""Copies on one machine: whole or not there, no more than allowed, shared, and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from thornback.artifacts.node_cache import NodeCache
from thornback.settings import Settings

SUM = 32  # bytes of SHA-256 behind each entry


class Far:
    """A far file; counts how often it is fetched."""

    def __init__(self, content: bytes = b"far") -> None:
        self.content = content
        self.fetches = 0

    def __call__(self) -> bytes:
        self.fetches += 1
        return self.content


def _entries(cache: NodeCache) -> list[Path]:
    return sorted(path for path in cache.root.glob("??/*") if path.suffix != ".partial")


def _partials(cache: NodeCache) -> list[Path]:
    return list(cache.root.glob("??/*.partial"))


def test_what_was_fetched_once_is_near(tmp_path: Path) -> None:
    far = Far()
    for cache in (NodeCache(tmp_path, 10_000), NodeCache(tmp_path, 10_000)):
        assert [cache.fetch("a", far), cache.fetch("a", far)] == [b"far", b"far"]
    assert far.fetches == 1
    assert cache.fetch("b", Far(b"other")) == b"other"
    assert _partials(cache) == []


def test_the_settings_say_where_and_how_much(tmp_path: Path) -> None:
    cache = NodeCache.of(Settings(home=tmp_path))
    assert (cache.root, cache.max_bytes, cache.floor_bytes) == (tmp_path / "cache", 50 << 30, 2 << 30)
    cache = NodeCache.of(Settings(home=tmp_path, node_cache=tmp_path / "nvme", node_cache_max_bytes=0))
    assert cache.root == tmp_path / "nvme"
    far = Far()
    assert [cache.fetch("a", far), cache.fetch("a", far)] == [b"far", b"far"]
    assert (far.fetches, cache.root.exists()) == (2, False)


@pytest.mark.parametrize("damage", [b"", b"fax" + b"\0" * SUM, b"f"])
def test_a_damaged_entry_is_fetched_again(tmp_path: Path, damage: bytes) -> None:
    cache, far = NodeCache(tmp_path, 10_000), Far()
    cache.fetch("a", far)
    (entry,) = _entries(cache)
    entry.write_bytes(damage)
    assert [cache.fetch("a", far), cache.fetch("a", far)] == [b"far", b"far"]
    assert far.fetches == 2


def test_what_is_not_what_its_key_names_is_given_and_not_kept(tmp_path: Path) -> None:
    cache, far = NodeCache(tmp_path, 10_000), Far(b"newer")
    assert cache.fetch("a old", far, is_wanted=lambda: False) == b"newer"
    assert _entries(cache) == []


def test_an_error_from_far_away_goes_to_the_caller_and_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> bytes:
        raise OSError("S3 is away")

    cache = NodeCache(tmp_path, 10_000)
    with pytest.raises(OSError, match="S3 is away"):
        cache.fetch("a", broken)
    assert list(cache.root.glob("??/*")) == []


def test_it_never_holds_more_than_it_may_and_what_was_used_last_stays(tmp_path: Path) -> None:
    size = 500
    cache = NodeCache(tmp_path, 20 * size)
    for number in range(60):
        cache.fetch(str(number), Far(b"x" * (size - SUM)))
        assert cache.used_bytes() <= cache.max_bytes
        os.utime(cache._path("0"), (4e9, 4e9))  # used all the time
    far = Far()
    cache.fetch("0", far)
    cache.fetch("59", far)
    assert far.fetches == 0
    cache.fetch("1", far)
    assert far.fetches == 1
    # 20 fit; a sweep leaves 18 of them, so there are 18 to 20.
    assert 18 <= len(_entries(cache)) <= 20


def test_one_entry_does_not_drive_out_all_others(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path, 1000)
    cache.fetch("small", Far(b"x" * 50))
    assert cache.fetch("large", Far(b"x" * 101)) == b"x" * 101
    assert len(_entries(cache)) == 1


def test_so_much_of_the_disk_is_left_free(tmp_path: Path) -> None:
    far = Far()
    full = NodeCache(tmp_path, 10_000, floor_bytes=1 << 60)
    assert [full.fetch("a", far), full.fetch("a", far)] == [b"far", b"far"]
    assert (far.fetches, full.used_bytes()) == (2, 0)


@pytest.mark.parametrize("count", [b"", b"-5", b"not a number", b"99999999999999"])
def test_a_count_that_was_lost_is_made_again(tmp_path: Path, count: bytes) -> None:
    cache = NodeCache(tmp_path, 10_000)
    cache.fetch("a", Far())
    (tmp_path / "used").write_bytes(count)
    cache.fetch("b", Far())
    assert int((tmp_path / "used").read_bytes()) == cache.used_bytes() == 2 * (3 + SUM)


def test_a_folder_that_cannot_be_used_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache, far = NodeCache(tmp_path / "file", 10_000), Far()
    assert [cache.fetch("a", far), cache.fetch("a", far)] == [b"far", b"far"]


def test_while_another_process_writes_an_entry_it_is_read_from_far_away(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path, 10_000)
    begun, go_on = threading.Event(), threading.Event()

    class Held(NodeCache):
        def _has_room(self, size: int) -> bool:  # called while its partial file is held
            begun.set()
            return go_on.wait(30) and super()._has_room(size)

    writer = threading.Thread(target=lambda: Held(tmp_path, 10_000).fetch("a", Far()))
    writer.start()
    assert begun.wait(30)
    far = Far()
    assert cache.fetch("a", far) == b"far"
    assert (far.fetches, _entries(cache)) == (1, [])
    go_on.set()
    writer.join()
    cache.fetch("a", far)
    assert far.fetches == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from thornback.artifacts import node_cache
class Killed(node_cache.NodeCache):
    def _has_room(self, size):  # all bytes are written, the entry is not there yet
        os.kill(os.getpid(), signal.SIGKILL)
Killed(Path(sys.argv[1]), 10_000).fetch("a", lambda: b"half")
"""


def test_a_process_that_is_killed_leaves_nothing_that_is_taken_for_an_entry(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    cache, far = NodeCache(tmp_path, 10_000), Far()
    (partial,) = _partials(cache)
    assert partial.stat().st_size > 0
    assert cache.fetch("a", far) == b"far"
    assert (far.fetches, _partials(cache)) == (1, [])


def test_leftovers_of_the_killed_go_with_a_sweep(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    cache = NodeCache(tmp_path, 10_000)
    cache.fetch("b", Far())  # there is no count yet, so this one sweeps
    assert _partials(cache) == []
    assert len(_entries(cache)) == 1


def _worker(root: Path, seed: int) -> int:
    cache = NodeCache(root, 40_000)
    fetched = 0
    for step in range(200):
        number = (step * (seed + 7)) % 100
        content = bytes([number]) * (700 + number)
        far = Far(content)
        assert cache.fetch(f"clip {number}", far) == content
        fetched += far.fetches
    return fetched


def test_processes_share_it(tmp_path: Path) -> None:
    """Four of them over 100 entries of which 53 or so fit: every byte is right, and the bound holds."""
    with multiprocessing.get_context("forkserver").Pool(4) as pool:
        fetches = pool.starmap(_worker, [(tmp_path, seed) for seed in range(4)])
    assert sum(fetches) < 4 * 200  # and some were near
    cache = NodeCache(tmp_path, 40_000)
    assert cache.used_bytes() <= 40_000
    assert _partials(cache) == []
