"""Videos kept by their content: found again, held, forgotten when there is no room, by several processes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from thornback.errors import Unavailable
from thornback.media.cache import MediaCache, Origin
from thornback.settings import Settings


class Disk:
    """Time and free space as a test wants them."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.free = 10**12

    def cache(self, root: Path, max_bytes: int = 10**9, floor_bytes: int = 0) -> MediaCache:
        return MediaCache(
            root,
            max_bytes=max_bytes,
            floor_bytes=floor_bytes,
            free_bytes=lambda _: self.free,
            now=lambda: self.now,
        )


@pytest.fixture
def disk() -> Disk:
    return Disk()


def _put(cache: MediaCache, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    with cache.incoming() as path:
        path.write_bytes(content)
        with cache.adopt(path, sha256) as held:
            assert held.read_bytes() == content
    return sha256


def _is_here(cache: MediaCache, sha256: str) -> bool:
    with cache.hold(sha256) as path:
        return path is not None


def test_what_was_put_is_found_by_its_content(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path)
    sha256 = _put(cache, b"film")
    with disk.cache(tmp_path).hold(sha256) as path:
        assert path is not None
        assert path.read_bytes() == b"film"
    assert not _is_here(cache, "0" * 64)
    assert list((tmp_path / "incoming").iterdir()) == []


def test_the_same_content_lies_there_once(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path)
    sha256 = _put(cache, b"film")
    with cache.hold(sha256) as first:
        assert first is not None
        before = first.stat().st_ino
        _put(cache, b"film")
        assert first.stat().st_ino == before  # not replaced under its reader
    assert len(list((tmp_path / "videos").iterdir())) == 1


def test_what_did_not_come_whole_is_gone(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path)
    with cache.incoming() as path:
        path.write_bytes(b"half")
    assert list((tmp_path / "incoming").iterdir()) == []


def test_results_and_origins(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path)
    sha256 = _put(cache, b"film")
    assert cache.result(sha256, "scenes-1") is None
    cache.keep_result(sha256, "scenes-1", {"cuts": [1, 2]})
    cache.keep_result(sha256, "scenes-1", {"cuts": [1, 3]})
    assert cache.result(sha256, "scenes-1") == {"cuts": [1, 3]}
    assert cache.result(sha256, "scenes-2") is None
    address = "https://a.test/film?signature=hunter2"
    assert cache.origin(address) is None
    cache.remember(address, Origin(sha256, '"v1"'))
    assert cache.origin(address) == Origin(sha256, '"v1"')
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hunter2" not in everything
    assert not any("hunter2" in str(path) for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"sha256": 1}', b"\xff"])
def test_a_broken_note_is_none(tmp_path: Path, disk: Disk, content: bytes) -> None:
    cache = disk.cache(tmp_path)
    cache.remember("https://a.test/", Origin("0" * 64, "e"))
    [note] = (tmp_path / "origins").iterdir()
    note.write_bytes(content)
    assert cache.origin("https://a.test/") is None


@pytest.mark.parametrize("key", ["../x", "", "A" * 64, "0" * 63, "0" * 64 + "/.."])
def test_a_key_is_no_path(tmp_path: Path, disk: Disk, key: str) -> None:
    cache = disk.cache(tmp_path)
    with pytest.raises(ValueError, match="no key"), cache.hold(key):
        pass


@pytest.mark.parametrize("name", ["../x", "", ".x", "a/b", "a" * 200])
def test_a_name_of_a_result_is_no_path(tmp_path: Path, disk: Disk, name: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        disk.cache(tmp_path).keep_result("0" * 64, name, 1)


def test_what_was_used_last_stays(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path, max_bytes=3500)
    kept = []
    for number in range(3):
        disk.now += 1
        kept.append(_put(cache, bytes([number]) * 1000))
        assert _is_here(cache, kept[-1])
    disk.now += 1
    assert _is_here(cache, kept[0])  # used again
    disk.now += 1
    cache.make_room(1000)
    assert [_is_here(cache, sha256) for sha256 in kept] == [True, False, True]


def test_what_is_held_is_not_deleted(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path, max_bytes=0)
    old, new = _put(cache, b"old"), _put(cache, b"new")
    with cache.hold(old) as path:
        disk.cache(tmp_path, max_bytes=0).make_room()
        assert path is not None
        assert path.read_bytes() == b"old"
        assert not _is_here(cache, new)
    cache.make_room()
    assert not _is_here(cache, old)


def test_what_has_just_come_is_held_at_once(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path, max_bytes=0)
    with cache.incoming() as path:
        path.write_bytes(b"film")
        with cache.adopt(path, hashlib.sha256(b"film").hexdigest()) as held:
            disk.cache(tmp_path, max_bytes=0).make_room()
            assert held.read_bytes() == b"film"


def test_a_full_disk_empties_the_cache_and_is_told_where_that_does_not_help(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path, max_bytes=10**12, floor_bytes=2 * 10**9)
    sha256 = _put(cache, b"film")
    disk.free = 3 * 10**9
    cache.make_room(10**9)
    assert _is_here(cache, sha256)
    with pytest.raises(Unavailable, match=r"3\.0 GB left, of which 2\.0 GB stay free"):
        cache.make_room(10**9 + 1)
    assert not _is_here(cache, sha256)


def test_leftovers_of_dead_writers_go_and_living_ones_stay(tmp_path: Path, disk: Disk) -> None:
    cache = disk.cache(tmp_path, max_bytes=0)
    for name, age in (("dead", 90_000.0), ("living", 60.0)):
        (tmp_path / "incoming" / name).write_bytes(b"x")
        os.utime(tmp_path / "incoming" / name, (disk.now - age,) * 2)
    cache.make_room()
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["living"]


def test_one_at_a_time_fetches_from_an_address(tmp_path: Path, disk: Disk) -> None:
    one, other = disk.cache(tmp_path), disk.cache(tmp_path)
    with one.turn("https://a.test/") as is_ours:
        assert is_ours
        with other.turn("https://a.test/") as theirs, other.turn("https://b.test/") as elsewhere:
            assert (theirs, elsewhere) == (False, True)
    with other.turn("https://a.test/") as is_ours:
        assert is_ours
    assert list((tmp_path / "incoming").iterdir()) == []


def _work(root: str, seed: int, failures: multiprocessing.Queue[str]) -> None:
    """Put, hold and read, in a cache that is always too small."""
    cache = MediaCache(Path(root), max_bytes=20_000)
    for turn in range(60):
        content = bytes([(seed * 7 + turn) % 9]) * 5000
        sha256 = hashlib.sha256(content).hexdigest()
        with cache.hold(sha256) as path:
            if path is not None:
                cache.make_room()
                if path.read_bytes() != content:
                    failures.put("another content")
                continue
        with cache.incoming() as path:
            path.write_bytes(content)
            with cache.adopt(path, sha256) as held:
                cache.make_room()
                if held.read_bytes() != content:
                    failures.put("another content")
    failures.put("")


def test_processes_at_once_never_lose_what_they_hold(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    failures: multiprocessing.Queue[str] = context.Queue()
    work: Callable[..., None] = _work
    workers = [context.Process(target=work, args=(str(tmp_path), seed, failures)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert [failures.get() for _ in workers] == [""] * 4
    MediaCache(tmp_path, max_bytes=20_000).make_room()
    assert sum(path.stat().st_size for path in (tmp_path / "videos").iterdir()) <= 20_000
    assert list((tmp_path / "incoming").iterdir()) == []


def test_it_is_where_the_settings_say(tmp_path: Path) -> None:
    MediaCache.of(Settings(home=tmp_path))
    MediaCache.of(Settings(home=tmp_path, media_cache=tmp_path / "other"))
    assert (tmp_path / "media" / "videos").is_dir()
    assert (tmp_path / "other" / "videos").is_dir()
