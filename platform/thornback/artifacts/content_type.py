"""What a file is, by its first bytes: names and headers lie."""

from __future__ import annotations

import re

HEAD_BYTES = 512  # as much as `of_bytes` looks at
UNKNOWN = "application/octet-stream"
SAFETENSORS = "application/x-safetensors"

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),  # an empty one
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"%PDF-", "application/pdf"),
)
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic"}
_HTML = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(rb"\s*<\?xml\b")
_TAR_MAGIC = slice(257, 262)


def of_bytes(head: bytes) -> str | None:
    """The content type that the first bytes of a file tell; None where they tell none."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    if head[_TAR_MAGIC] == b"ustar":
        return "application/x-tar"
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return SAFETENSORS
    if _HTML.match(head):
        return "text/html"
    return "application/xml" if _XML.match(head) else None


def settle(head: bytes, header: str | None) -> str:
    """The content type of a file, from its first bytes and from what its sender said.

    The bytes win. Where they tell nothing, the header is believed, unless it names a type that would have
    shown in the bytes.
    """
    told = of_bytes(head)
    if told is not None:
        return told
    said = (header or "").partition(";")[0].strip().lower()
    if not said or said in _SHOWS or (said.startswith("image/") and said != "image/svg+xml"):
        return UNKNOWN
    return said


_SHOWS = frozenset(name for _, name in _STARTS) | {"application/x-tar", "text/html", SAFETENSORS}
