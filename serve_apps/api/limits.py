"""How large a request may be beside its body's bytes: headers, address, depth of JSON, time to arrive. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from starlette.types import Scope

MAX_HEADER_BYTES = 32 << 10  # nginx takes as many
MAX_HEADERS = 200
MAX_ADDRESS_BYTES = 16 << 10
MAX_DEPTH = 64  # of JSON; a job's specification has five levels
BODY_S = 60.0  # for a body that fits into memory; one of a megabyte takes as long at 140 kbit/s

_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class Refusal(NamedTuple):
    """A problem's code and its words."""

    code: str
    detail: str


def check_head(scope: Scope) -> Refusal | None:
    """What is wrong with the size of a request's head; None where nothing is."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    sizes = [len(name) + len(value) for name, value in headers]
    if len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEADER_BYTES:
        return Refusal(
            "headers_too_large", f"the headers are more than {MAX_HEADERS}, or than {MAX_HEADER_BYTES} bytes"
        )
    if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > MAX_ADDRESS_BYTES:
        return Refusal("address_too_long", f"the address has more than {MAX_ADDRESS_BYTES} bytes")
    return None


def is_too_deep(body: bytes) -> bool:
    """True for JSON of more levels than are read; what is no JSON may be called so too, and is no use either way."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _MARKS.finditer(body):
        mark = found[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in (b"]", b"}"):
            depth -= 1
    return False
