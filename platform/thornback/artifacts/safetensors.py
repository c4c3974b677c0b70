"""Is a file a whole safetensors file? Without torch, and without reading its tensors.

The format: eight bytes with the length of the header (little endian), the header as JSON, the tensors' bytes
(https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from thornback.errors import InvalidInput

MAX_HEADER_BYTES = 100_000_000  # the reference implementation's own limit
_LENGTH_BYTES = 8
_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2}
_BYTES |= {"U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}


def is_safetensors(path: Path) -> bool:
    """True where header and length agree: every tensor lies within the file, and nothing is missing at its end."""
    return _parse(path) is not None


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors (name -> dtype, shape, data_offsets) and metadata of a file.

    Raises:
        InvalidInput: it is not there, or no whole safetensors file.
    """
    try:
        found = _parse(path)
    except OSError as error:
        raise InvalidInput.field("file", f"{path} cannot be read: {error.strerror}") from error
    if found is None:
        raise InvalidInput.field("file", f"{path} is no whole safetensors file")
    metadata = found.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise InvalidInput.field("file", f"the metadata of {path} is no table of strings")
    return found, {str(name): str(value) for name, value in metadata.items()}


def data_offset(path: Path) -> int:
    """Where the tensors begin, in bytes."""
    with path.open("rb") as file:
        return _LENGTH_BYTES + int.from_bytes(file.read(_LENGTH_BYTES), "little")


def whole_header(read: Callable[[int, int], bytes], size: int) -> dict[str, Any] | None:
    """The header of a file of `size` bytes, `__metadata__` included; None where it is no whole safetensors file.

    `read(first, length)` gives bytes of the file, wherever it lies; nothing is asked but the header.
    """
    length = int.from_bytes(read(0, _LENGTH_BYTES), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - _LENGTH_BYTES):
        return None
    try:
        header = json.loads(read(_LENGTH_BYTES, length))
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict):
        return None
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return header if _fill(tensors, size - _LENGTH_BYTES - length) else None


def _parse(path: Path) -> dict[str, Any] | None:
    with path.open("rb") as file:

        def read(first: int, length: int) -> bytes:
            file.seek(first)
            return file.read(length)

        return whole_header(read, path.stat().st_size)


def _fill(tensors: Mapping[str, Any], size: int) -> bool:
    """True where the tensors follow each other without gaps from the first byte to the last."""
    spans = [_span(entry) for entry in tensors.values()]
    end = 0
    for span in sorted(spans, key=lambda found: found or (-1, -1)):
        if span is None or span[0] != end:
            return False
        end = span[1]
    return end == size


def _span(entry: Any) -> tuple[int, int] | None:
    """First byte and the byte after the last of a tensor; None where its entry is broken."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(first), int(end)]}:
            is_shape = all(isinstance(size, int) and size >= 0 for size in shape)
            width = _BYTES.get(dtype)
            if is_shape and 0 <= first <= end and (width is None or end - first == width * prod(shape)):
                return first, end
    return None
