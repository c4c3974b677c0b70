"""A ZIP of a stranger is read whole before anybody pays for it."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from tests.unit.datasets.pictures_made import picture
from thornback.datasets.image_zip import Entry, check_zip, write_zip
from thornback.errors import DataError


def zipped(path: Path, members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A ZIP as somebody else would make it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_pictures_and_their_captions_are_counted(tmp_path: Path) -> None:
    members = {
        "a.png": picture(),
        "a.txt": "TOK, süß".encode("utf-8-sig"),
        "in/b.JPG": picture("JPEG"),
        "in/b.txt": b"b",
        "in/c.webp": picture("WEBP"),
        "notes.txt": b"no caption",
        "c.txt": b"in another folder than its picture",
        "__MACOSX/._a.png": b"no picture",
        "in/.DS_Store": b"",
    }
    report = check_zip(zipped(tmp_path / "a.zip", members))
    assert (report.images, report.captions) == (3, 2)
    assert report.size_bytes == (tmp_path / "a.zip").stat().st_size


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    entries = [Entry(name="a.png", content=picture()), Entry(name="a.txt", content=b"TOK")]
    for name in ("one", "two"):
        write_zip(tmp_path / name, entries)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert check_zip(tmp_path / "one").images == 1
    with zipfile.ZipFile(tmp_path / "one") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "in/../../a.png", "C:/a.png", "in\\..\\a.png"])
def test_a_member_that_would_lie_outside(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "a.zip", {"b.png": picture(), name: picture()})
    with pytest.raises(DataError, match="outside"):
        check_zip(path)


def test_a_link_a_password_and_a_twin(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.png")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        check_zip(tmp_path / "link.zip")

    content = bytearray(zipped(tmp_path / "x.zip", {"a.png": picture()}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption in the directory
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        check_zip(tmp_path / "x.zip")

    with zipfile.ZipFile(tmp_path / "twin.zip", "w") as archive:
        archive.writestr("a.png", picture())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", picture())
    with pytest.raises(DataError, match="two members"):
        check_zip(tmp_path / "twin.zip")


def test_a_bomb_is_told_by_its_directory(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.png": bytes(5_000_000)})
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match="unpacked, the ZIP has more than 1000000 bytes"):
        check_zip(path, max_bytes=1_000_000)


def test_a_bomb_that_lies_about_its_size_is_cut_there(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.png": bytes(5_000_000)})
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (2000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError):
        check_zip(path, max_bytes=1_000_000)


def test_a_zip_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(bytes(1001))
    with pytest.raises(DataError, match="1001 bytes; at most 1000"):
        check_zip(tmp_path / "a.zip", max_bytes=1000)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "no picture"),
        ({"a.txt": b"x", "b.gif.txt": b"x"}, "no picture"),
        ({"a.png": picture(), "b.png": picture()[:50]}, "1 of 2 pictures: b.png"),
        ({"a.png": b"<html>"}, "1 of 1 pictures: a.png: it is no picture"),
        ({f"{n}.png": b"" for n in range(5)}, r"\(and 2 more\)"),
        ({"a.png": picture(), "a.txt": b"\xff\xfe\x00"}, "a.txt is not UTF-8"),
        ({"a.png": picture(), "a.txt": b"x" * 100_001}, "a.txt has more than"),
    ],
)
def test_what_cannot_be_trained_on(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_zip(zipped(tmp_path / "a.zip", members))


def test_a_broken_zip(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.zip", {"a.png": picture(size=(200, 100))}, compression=zipfile.ZIP_STORED).read_bytes()
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF  # within the picture: its checksum is wrong now
    for content in (whole[:-30], whole[30:], bytes(flipped), b"", b"PK\x03\x04"):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(DataError):
            check_zip(tmp_path / "a.zip")
