"""Files that begin as good ones, and are changed: the readers get past their first check and see the harm later."""

from __future__ import annotations

from hypothesis import strategies as st

# Numbers at the edges, as headers hold them.
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, (1 << 63) - 1, (1 << 64) - 1)
_TEXTS = (
    b"\0",
    b"../",
    b"/etc/passwd",
    b"\xff\xfe",
    b"NaN",
    b"1e999",
    b"-1",
    b"[" * 5000,
    b'{"a":' * 5000,
    b"9" * 5000,
    b'"',
    b"\r\n\r\n",
    b"\x1b[2J",
    "\u202e\u2028".encode(),
    b"=cmd|' /C calc'!A0",
    b"&a [*a]",
    b"!!python/object/apply:os.system [x]",
)


def broken(sample: bytes) -> st.SearchStrategy[bytes]:
    """The sample with up to six changes, or any bytes at all."""
    return st.one_of(st.lists(_change(), min_size=1, max_size=6).map(lambda changes: _applied(sample, changes)), _any())


def _any() -> st.SearchStrategy[bytes]:
    return st.binary(max_size=400)


def _change() -> st.SearchStrategy[tuple[str, int, bytes]]:
    numbers = st.builds(
        lambda value, width, order: (value & ((1 << 8 * width) - 1)).to_bytes(width, order),
        st.sampled_from(_EDGES),
        st.sampled_from([1, 2, 4, 8]),
        st.sampled_from(["little", "big"]),
    )
    content = st.one_of(numbers, st.sampled_from(_TEXTS), st.binary(min_size=1, max_size=16))
    return st.tuples(st.sampled_from(["write", "insert", "cut", "drop", "double"]), st.integers(0, 1 << 20), content)


def _applied(sample: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, content in changes:
        at = place % (len(sample) + 1)
        match kind:
            case "write":
                sample = sample[:at] + content + sample[at + len(content) :]
            case "insert":
                sample = sample[:at] + content + sample[at:]
            case "cut":
                sample = sample[:at]
            case "drop":
                sample = sample[:at] + sample[at + len(content) :]
            case _:
                sample = sample[:at] + sample[at:] * 2
    return sample[: 1 << 20]
