"""One file out of a tar of a stranger, and the check of a safetensors file."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from thornback.artifacts.archive import take_member
from thornback.artifacts.content_type import of_bytes, settle
from thornback.artifacts.safetensors import is_safetensors
from thornback.errors import FetchFailed

LORA = "**/lora.safetensors"


def _member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    open_tar: Callable[..., tarfile.TarFile] = tarfile.open
    with open_tar(path, mode) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("name", ["output/flux_train/lora.safetensors", "lora.safetensors", "./lora.safetensors"])
def test_the_weights_out_of_a_trained_model(tmp_path: Path, mode: str, name: str) -> None:
    archive = _tar(tmp_path / "a.tar", _member("output/config.yaml", b"x: 1"), _member(name, b"weights"), mode=mode)
    assert take_member(archive, LORA, tmp_path / "out") == name
    assert (tmp_path / "out").read_bytes() == b"weights"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "out"]


@pytest.mark.parametrize(
    "member",
    [
        _member("../lora.safetensors", b"x"),
        _member("/etc/lora.safetensors", b"x"),
        _member("a/lora.safetensors", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _member("a/lora.safetensors", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        _member("a/lora.safetensors", type=tarfile.FIFOTYPE),
        _member("a/lora.safetensors", type=tarfile.DIRTYPE),
        _member("a/lora.safetensors.txt", b"x"),
        _member("a/notlora.safetensors", b"x"),
    ],
)
def test_a_hostile_or_other_member_is_not_taken(tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    with pytest.raises(FetchFailed, match="holds no"):
        take_member(_tar(tmp_path / "a.tar", member), LORA, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_a_member_that_is_too_large_or_lies_behind_too_much(tmp_path: Path) -> None:
    large = _tar(tmp_path / "a.tar", _member("lora.safetensors", bytes(2000)), mode="w:gz")
    behind = _tar(tmp_path / "b.tar", _member("zeros", bytes(2000)), _member("lora.safetensors", b"x"), mode="w:gz")
    for archive in (large, behind):
        with pytest.raises(FetchFailed, match="1999 bytes"):
            take_member(archive, LORA, tmp_path / "out", max_bytes=1999)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_cut_archive_gives_nothing(tmp_path: Path, mode: str) -> None:
    whole = _tar(tmp_path / "a.tar", _member("lora.safetensors", bytes(range(256)) * 40), mode=mode).read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 4])
    with pytest.raises(FetchFailed):
        take_member(tmp_path / "a.tar", LORA, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"<html>")
    with pytest.raises(FetchFailed, match="cannot be read"):
        take_member(tmp_path / "a.tar", LORA, tmp_path / "out")


def _safetensors(header: Any, data: bytes, *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


TWO = {
    "__metadata__": {"format": "pt"},
    "b": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]},
    "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
}


@pytest.mark.parametrize(
    ("content", "is_whole"),
    [
        (_safetensors(TWO, bytes(22)), True),
        (_safetensors({}, b""), True),
        (_safetensors({"s": {"dtype": "F4_NEW", "shape": [9], "data_offsets": [0, 5]}}, bytes(5)), True),
        (_safetensors(TWO, bytes(21)), False),  # cut
        (_safetensors(TWO, bytes(23)), False),
        (_safetensors(TWO, bytes(22), length=1 << 40), False),
        (_safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)), False),
        (_safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)), False),  # a gap
        (_safetensors({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 0]}}, b""), False),
        (_safetensors({"a": [0, 4]}, bytes(4)), False),
        (_safetensors([1], b""), False),
        (_safetensors(b"{broken", b""), False),
        (b"<!doctype html>", False),
        (b"", False),
    ],
)
def test_a_safetensors_file_is_whole_or_not(tmp_path: Path, content: bytes, is_whole: bool) -> None:
    (tmp_path / "x").write_bytes(content)
    assert is_safetensors(tmp_path / "x") is is_whole


def test_the_reference_implementation_agrees(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    arrays: dict[str, NDArray[Any]] = {"down": np.ones((4, 8), np.float16), "up": np.zeros((0, 3), np.int64)}
    save_file(arrays, tmp_path / "x", metadata={"format": "pt"})
    assert is_safetensors(tmp_path / "x")
    assert of_bytes((tmp_path / "x").read_bytes()[:512]) == "application/x-safetensors"


@pytest.mark.parametrize(
    ("head", "header", "expected"),
    [
        (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg"),  # the bytes win
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", None, "image/webp"),
        (b"\x00\x00\x00\x1cftypavif", None, "image/avif"),
        (b"  <HTML><body>", "application/octet-stream", "text/html"),
        (b"name: x", "text/yaml; charset=utf-8", "text/yaml"),
        (b"name: x", "image/jpeg", "application/octet-stream"),  # it would have shown
        (b"name: x", "application/zip", "application/octet-stream"),
        (b"", None, "application/octet-stream"),
    ],
)
def test_what_a_file_is(head: bytes, header: str | None, expected: str) -> None:
    assert settle(head, header) == expected
