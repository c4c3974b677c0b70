"""What every storage does: a folder and S3 (moto's server, over HTTP) answer the same."""

from __future__ import annotations

import hashlib
import pickle
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from tests.fixtures.fault_proxy import Fault, fault_proxy
from tests.fixtures.s3 import S3Server
from thornback.artifacts import s3 as s3_module
from thornback.artifacts import s3_store
from thornback.artifacts.files import Location, join, locate
from thornback.errors import InvalidInput, NotFound, StorageUnavailable

BIG = random.Random(7).randbytes(6 << 20)


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server) -> str:
    if request.param == "folder":
        return str(tmp_path / "storage")
    return s3.uri(s3.make_bucket(), "some/base")


@pytest.fixture
def place(uri: str) -> Location:
    return locate(uri)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 5 MiB go in parts; boto3 makes none smaller, for S3 takes none."""
    monkeypatch.setattr(s3_module, "PART_BYTES", 5 << 20)


def test_nothing_is_there_at_first(place: Location) -> None:
    assert not place.exists()
    assert not place.is_dir()
    assert place.files() == []
    assert place.folders() == []
    for read in (place.read_bytes, place.size, lambda: list(place.chunks()), lambda: list(place.read_range(0, 1))):
        with pytest.raises(NotFound):
            read()
    place.delete_file()
    place.delete_tree()


def test_what_is_written_is_read(place: Location) -> None:
    file = place / "a/b.bin"
    file.write_bytes(b"old and longer")
    file.write_bytes(b"new")
    assert (file.read_bytes(), file.size(), file.exists(), file.is_dir()) == (b"new", 3, True, False)
    assert place.is_dir()
    assert place.exists()
    (place / "empty").write_bytes(b"")
    assert ((place / "empty").read_bytes(), (place / "empty").size()) == (b"", 0)


@pytest.mark.parametrize("size", [0, 1, 10, 6 << 20])
def test_upload_and_download(place: Location, tmp_path: Path, small_parts: None, size: int) -> None:
    source, back = tmp_path / "source", tmp_path / "new" / "back"
    source.write_bytes(BIG[:size])
    (place / "file").upload(source)
    (place / "file").download(back)
    assert back.read_bytes() == (place / "file").read_bytes() == BIG[:size]
    assert [path.name for path in back.parent.iterdir()] == ["back"]


def test_download_of_nothing_leaves_nothing(place: Location, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        (place / "file").download(tmp_path / "back" / "file")
    assert not (tmp_path / "back" / "file").exists()


def test_pieces_and_ranges(place: Location) -> None:
    file = place / "file"
    file.write_bytes(BIG[:1000])
    assert [len(piece) for piece in file.chunks(400)] == [400, 400, 200]
    cases = {(0, 1): BIG[:1], (10, 500): BIG[10:510], (990, 50): BIG[990:1000], (1000, 5): b"", (2000, 1): b""}
    cases[5, 0] = b""
    for (first, length), expected in cases.items():
        assert b"".join(file.read_range(first, length, 64)) == expected


def test_listing(place: Location) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    for name in ("z.txt", "a/1.txt", "a/b/2.txt", "ab/3.txt", "ä ö+&.txt"):
        (place / name).write_bytes(name.encode())
    found = place.files()
    assert [entry.path for entry in found] == ["a/1.txt", "a/b/2.txt", "ab/3.txt", "z.txt", "ä ö+&.txt"]
    assert [entry.size_bytes for entry in found] == [len(entry.path.encode()) for entry in found]
    assert all(entry.modified_at is not None and entry.modified_at > before for entry in found)
    assert place.folders() == ["a", "ab"]
    assert [entry.path for entry in (place / "a").files()] == ["1.txt", "b/2.txt"]


def test_deleting(place: Location) -> None:
    for name in ("a/1", "a/b/2", "ab/3"):
        (place / name).write_bytes(b"x")
    (place / "a").delete_tree()
    assert [entry.path for entry in place.files()] == ["ab/3"]
    (place / "ab/3").delete_file()
    assert place.files() == []


def test_deleting_more_than_one_request_takes(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_DELETE_AT_ONCE", 3)
    place = locate(uri)
    for number in range(8):
        (place / f"a/{number}").write_bytes(b"x")
    (place / "a").delete_tree()
    assert not (place / "a").exists()


def test_a_whole_storage_is_not_deleted(uri: str) -> None:
    with pytest.raises(InvalidInput):
        locate("/" if "://" not in uri else join(uri, "..", "..").replace("some/base/../..", "")).delete_tree()


def test_copies_within_and_across(place: Location, tmp_path: Path, s3: S3Server) -> None:
    (place / "from").write_bytes(BIG)
    others = [place / "to/here", locate(str(tmp_path / "else" / "x")), locate(s3.uri(s3.make_bucket(), "x"))]
    assert [place.is_beside(other) for other in others] == [True, place.is_local, not place.is_local]
    for other in others:
        (place / "from").copy_to(other)
        assert other.read_bytes() == BIG
        with pytest.raises(NotFound):
            (place / "missing").copy_to(other)
        assert other.read_bytes() == BIG


def test_it_survives_a_pickle_and_equals_itself(uri: str, place: Location) -> None:
    (place / "file").write_bytes(b"x")
    copy = pickle.loads(pickle.dumps(place))
    assert copy == place == locate(uri)
    assert (copy / "file").read_bytes() == b"x"
    assert "test" not in repr(place).split("path")[0]  # no secrets in logs


def test_pyarrow_sees_the_same_files(place: Location) -> None:
    (place / "file").write_bytes(b"ours")
    fs: pafs.FileSystem = place.fs
    with fs.open_input_file((place / "file").path) as file:
        assert file.read() == b"ours"
    with fs.open_output_stream((place / "theirs").path) as stream:
        stream.write(b"theirs")
    assert (place / "theirs").read_bytes() == b"theirs"


class _FullDisk(OSError):
    pass


def test_a_broken_write_into_a_folder_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = locate(str(tmp_path / "storage" / "file"))
    file.write_bytes(b"old")

    def half(_source: Path, to: Path) -> None:
        to.write_bytes(b"ne")
        raise _FullDisk(28, "No space left on device")

    monkeypatch.setattr("thornback.artifacts.folder.shutil.copyfile", half)
    with pytest.raises(_FullDisk):
        file.upload(tmp_path / "source")
    assert (file.read_bytes(), [path.name for path in (tmp_path / "storage").iterdir()]) == (b"old", ["file"])


def test_a_broken_upload_to_s3_leaves_what_was_there(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_parts: None
) -> None:
    monkeypatch.setattr(s3_store, "ATTEMPTS", 1)
    source, bucket, parts = tmp_path / "source", s3.make_bucket(), set()
    source.write_bytes(BIG)

    def second_part(_method: str, path: str) -> Fault | None:
        if "partNumber=" in path:
            parts.add(path[-1])
        return Fault.CUT_REQUEST if "partNumber=2" in path else None

    with fault_proxy(s3.endpoint, second_part) as proxy:
        there = locate(S3Server(proxy.endpoint).uri(bucket, "file"))
        there.write_bytes(b"old")
        with pytest.raises(StorageUnavailable):
            there.upload(source)
        assert "2" in parts
        assert there.read_bytes() == b"old"
    left = s3_store.parse(s3.uri(bucket))[0].client.list_multipart_uploads(Bucket=bucket)
    assert "Uploads" not in left


def test_a_link_to_a_folder_above_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    (tmp_path / ".file.0123456789ab.partial").write_bytes(b"half")
    assert [entry.path for entry in locate(str(tmp_path)).files()] == ["a/file", "linked/file"]


def test_a_transfer_that_breaks_goes_on_where_it_stopped(s3: S3Server, tmp_path: Path) -> None:
    with fault_proxy(s3.endpoint) as proxy:
        there = locate(S3Server(proxy.endpoint).uri(s3.make_bucket(), "file"))
        there.write_bytes(BIG)
        gets = 0

        def cut_twice(method: str, _path: str) -> Fault | None:
            nonlocal gets
            gets += method == "GET"
            return Fault.CUT_ANSWER if method == "GET" and gets <= 2 else None

        proxy.decide = cut_twice
        assert hashlib.sha256(b"".join(there.chunks())).digest() == hashlib.sha256(BIG).digest()
        assert gets == 3
        proxy.decide = lambda method, _path: Fault.CUT_ANSWER if method == "GET" else None
        with pytest.raises(StorageUnavailable, match="broke off"):
            list(there.read_range(0, 2))


def test_damaged_bytes_are_noticed(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = locate(s3.uri(s3.make_bucket(), "file"))
    monkeypatch.setattr("zlib.crc32", lambda _content, _value=0: 1)
    there.write_bytes(BIG[:100])
    monkeypatch.undo()
    with pytest.raises(StorageUnavailable):
        there.read_bytes()
    with pytest.raises(StorageUnavailable):
        there.download(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_encryption_and_content_type_are_asked_for(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.make_bucket()
    uri = s3.uri(bucket, "base") + "&sse=AES256"
    source = tmp_path / "source"
    source.write_bytes(b"{}")
    locate(join(uri, "a.json")).upload(source)
    locate(join(uri, "b")).write_bytes(b"x", content_type="image/png")
    locate(join(uri, "b")).copy_to(locate(join(uri, "c.bin")))
    client = s3_store.parse(uri)[0].client
    heads = [client.head_object(Bucket=bucket, Key=f"base/{name}") for name in ("a.json", "b", "c.bin")]
    assert [head["ServerSideEncryption"] for head in heads] == ["AES256"] * 3
    assert [head["ContentType"] for head in heads] == ["application/json", "image/png", "image/png"]


@pytest.mark.parametrize(
    "uri",
    [
        "gs://bucket/x",
        "s3:///x",
        "s3://bucket/x?sse=rot13",
        "s3://bucket/x?sse_kms_key_id=1",
        "s3://bucket/x?compression=9",
    ],
)
def test_addresses_that_cannot_be(uri: str) -> None:
    with pytest.raises(InvalidInput):
        locate(uri)


def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_store, "ATTEMPTS", 1)
    place = locate("s3://k:s@bucket/x?endpoint_override=http%3A%2F%2F127.0.0.1%3A9&region=us-east-1")
    with pytest.raises(StorageUnavailable) as caught:
        place.read_bytes()
    assert isinstance(caught.value, OSError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.message, type(copy)) == (caught.value.message, StorageUnavailable)
