"""A tree goes up the same into a folder and to S3, also over a bad network."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from botocore import endpoint as botocore_endpoint

from tests.fixtures.fault_proxy import Fault, fault_proxy, share
from tests.fixtures.s3 import S3Server
from thornback.artifacts import s3_store
from thornback.artifacts.files import join, locate
from thornback.artifacts.transfer import Uploaded, upload_tree
from thornback.errors import StorageUnavailable


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, bytes]:
    """Files by path, below `tmp_path / "tree"`."""
    chance = random.Random(1)
    files = {f"images/{number:03d}.jpg": chance.randbytes(chance.randrange(1, 20_000)) for number in range(30)}
    files |= {"captions/ä ö.txt": b"a photo", "empty": b""}
    for name, content in files.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server) -> str:
    if request.param == "folder":
        return str(tmp_path / "storage")
    return s3.uri(s3.make_bucket(), "base")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 tries again at once."""
    monkeypatch.setattr(botocore_endpoint.time, "sleep", lambda _seconds: None)


def test_all_files_arrive_and_it_tells_how_far_it_is(tree: dict[str, bytes], uri: str, tmp_path: Path) -> None:
    told: list[float] = []
    total = sum(map(len, tree.values()))
    assert upload_tree(tmp_path / "tree", uri, tell=told.append) == Uploaded(files=len(tree), size_bytes=total)
    assert {entry.path: locate(join(uri, entry.path)).read_bytes() for entry in locate(uri).files()} == tree
    assert told == sorted(told)
    assert (len(told), told[-1]) == (len(tree), 1.0)


def test_nothing_is_uploaded_as_nothing(uri: str, tmp_path: Path) -> None:
    assert upload_tree(tmp_path / "missing", uri) == Uploaded(files=0, size_bytes=0)


def test_a_fifth_of_the_requests_may_fail(
    tree: dict[str, bytes], tmp_path: Path, s3: S3Server, no_pauses: None
) -> None:
    bucket = s3.make_bucket()
    with fault_proxy(s3.endpoint, share(0.2, seed=3)) as proxy:
        upload_tree(tmp_path / "tree", S3Server(proxy.endpoint).uri(bucket, "base"))
    assert set(proxy.faults) == set(Fault)
    place = locate(s3.uri(bucket, "base"))
    assert {entry.path: (place / entry.path).read_bytes() for entry in place.files()} == tree


def test_the_first_fault_ends_it(
    tree: dict[str, bytes], tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_store, "ATTEMPTS", 1)
    bucket = s3.make_bucket()
    with (
        fault_proxy(s3.endpoint, lambda _method, path: Fault.REFUSED if path.endswith("005.jpg") else None) as proxy,
        pytest.raises(StorageUnavailable, match="005"),
    ):
        upload_tree(tmp_path / "tree", S3Server(proxy.endpoint).uri(bucket, "base"), workers=1)
    place = locate(s3.uri(bucket, "base"))
    arrived = {entry.path: (place / entry.path).read_bytes() for entry in place.files()}
    assert arrived.items() < tree.items()
    assert "images/005.jpg" not in arrived
