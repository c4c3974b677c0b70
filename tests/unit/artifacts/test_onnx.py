"""Whether a file is a whole ONNX model, seen from the heads of its fields."""

from __future__ import annotations

import pytest

from tests.fixtures.model_versions import onnx_bytes
from thornback.artifacts.onnx import is_whole_onnx

WHOLE = onnx_bytes(weights=1000)


def is_whole(content: bytes) -> bool:
    return is_whole_onnx(lambda first, length: content[first : first + length], len(content))


def test_a_model_is() -> None:
    assert is_whole(WHOLE)


def test_only_heads_are_read() -> None:
    asked: list[int] = []

    def read(first: int, length: int) -> bytes:
        asked.append(length)
        return WHOLE[first : first + length]

    assert is_whole_onnx(read, len(WHOLE))
    assert sum(asked) < len(WHOLE) / 10


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[:-1],
        WHOLE[: len(WHOLE) // 2],
        WHOLE + b"\x00",
        b"\x08\x07",  # a version and no graph
        b"\x3a\x00",  # a graph and no version
        b"\x00" * 64,  # no field has the number 0
        b"\xff" * 64,  # a tag that does not end
        b"\x08" + b"\xff" * 30,
        b"\x0b\x08\x01",  # a group, which ONNX has none of
        b"PK\x03\x04 a zip",
        b'{"kind": "json"}',
    ],
)
def test_what_is_cut_or_something_else_is_not(content: bytes) -> None:
    assert not is_whole(content)
