"""Compare-and-set of a file, in a folder and on S3: of several who change it at once, one succeeds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import Location, locate
from thornback.artifacts.swap import swap


@pytest.fixture(params=["folder", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "folder":
        return locate(str(tmp_path / "storage"))
    s3: S3Server = request.getfixturevalue("s3")
    return locate(s3.uri(s3.make_bucket(), "below"))


def test_only_what_was_read_is_replaced(folder: Location) -> None:
    place = folder / "a.json"
    assert not swap(place, b"1", b"2")  # there is none
    assert swap(place, None, b"1")
    assert not swap(place, None, b"2")  # there is one
    assert not swap(place, b"2", b"3")
    assert place.read_bytes() == b"1"
    assert swap(place, b"1", b"2")
    assert place.read_bytes() == b"2"
    assert [entry.path for entry in folder.files()] == ["a.json"]


def test_nothing_is_lost_in_a_crowd(folder: Location) -> None:
    place = folder / "count"
    place.write_bytes(b"0")

    def count(_: int) -> None:
        while True:
            old = place.read_bytes()
            if swap(place, old, str(int(old) + 1).encode()):
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(24)))
    assert place.read_bytes() == b"24"
