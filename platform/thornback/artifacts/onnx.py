"""Is a file a whole ONNX model? Without onnx, and without reading its weights.

The format: a protobuf message `ModelProto` (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). A message is a
row of fields, each a tag (number and wire type) and a value whose length the tag or the value itself tells
(https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Callable

_IR_VERSION, _GRAPH = 1, 7  # fields of ModelProto that every model has
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT = 10  # bytes
_HEAD = 2 * _MOST_VARINT  # of a tag and of a length
_MOST_FIELDS = 10_000


def is_whole_onnx(read: Callable[[int, int], bytes], size: int) -> bool:
    """Whether the fields fill a file of `size` bytes to its last byte, a version and a graph among them.

    `read(first, length)` gives bytes of the file, wherever it lies; only the heads of its fields are asked for.
    """
    place, found = 0, set()
    for _ in range(_MOST_FIELDS):
        if place >= size:
            break
        field = _field(read(place, min(_HEAD, size - place)))
        if field is None:
            return False
        number, length = field
        found.add(number)
        place += length
    return place == size and {_IR_VERSION, _GRAPH} <= found


def _field(head: bytes) -> tuple[int, int] | None:
    """Number and whole length of the field that begins so; None where none does."""
    tag = _varint(head)
    if tag is None:
        return None
    (key, first), value = tag, _varint(head[tag[1] :])
    lengths = {
        _VARINT: None if value is None else value[1],
        _FIXED64: 8,
        _BYTES: None if value is None else value[1] + value[0],
        _FIXED32: 4,
    }
    length = lengths.get(key & 7)
    return None if length is None or not key >> 3 else (key >> 3, first + length)


def _varint(data: bytes) -> tuple[int, int] | None:
    """A number and how many bytes it takes; None where it does not end."""
    number = 0
    for index, byte in enumerate(data[:_MOST_VARINT]):
        number |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return number, index + 1
    return None
