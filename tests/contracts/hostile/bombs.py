"""Files that are small and mean harm: what each is, and which reader gets it."""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.contracts.hostile.readers import READERS, sample
from tests.unit.datasets.pictures_made import picture
from thornback.errors import DataError
from thornback.media.probe import VideoLimits, probe_apart

Write = Callable[[Path], object]
Read = Callable[[Path], object]
MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bomb:
    """One of them."""

    kind: str  # archive, image, …
    write: Write
    read: Read
    raises: tuple[type[Exception], ...]
    suffix: str = ""


def zeros(size: int) -> Iterable[bytes]:
    """So many, a megabyte at a time."""
    yield from (bytes(MB) for _ in range(size // MB))


def zip_of(path: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)


def zip_bomb(path: Path, *, lying: bool) -> None:
    """200 MB of zeros as a picture; its directory says so, or that it is small."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.png", "w") as member:
        for block in zeros(200 * MB):
            member.write(block)
    if lying:
        content = bytearray(path.read_bytes())
        place = content.index(b"PK\x01\x02") + 24
        content[place : place + 4] = (2000).to_bytes(4, "little")
        path.write_bytes(content)


def zip_of_one_kernel(path: Path, members: int) -> None:
    """Many members that all lie on the same bytes (D. Fifield, "A better zip bomb")."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("000000.png", bytes(MB))
    whole = out.getvalue()
    begin = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    row = whole[begin:end]
    rows = b"".join(row.replace(b"000000", b"%06d" % number) for number in range(members))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, members & 0xFFFF, members & 0xFFFF, len(rows), begin, 0)
    path.write_bytes(whole[:begin] + rows + tail)


def zip_nested(path: Path) -> None:
    content = picture()
    for _ in range(20):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(4):
                archive.writestr(f"{number}.zip", content)
        content = out.getvalue()
        if len(content) > MB:
            break
    zip_of(path, [("a.png", content)])


def zip_link(path: Path) -> None:
    link = zipfile.ZipInfo("a.png")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    zip_of(path, [(link, b"/etc/passwd"), ("b.png", picture())])


def zip_nul(path: Path) -> None:
    zip_of(path, [("a.png!.txt", _PNG), ("b.png", _PNG)])
    path.write_bytes(path.read_bytes().replace(b"a.png!.txt", b"a.png\0.txt"))


def tar_of(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> None:
    open_tar: Callable[..., tarfile.TarFile] = tarfile.open
    with open_tar(path, mode) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def tar_member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def png_of(width: int, height: int) -> bytes:
    """A PNG whose picture is one colour, however large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    body = b"".join(packer.compress(row) for _ in range(min(height, 2000))) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    """A comment of 200 MB, packed."""
    whole = picture()
    packer = zlib.compressobj(9)
    text = b"Comment\0\0" + b"".join(packer.compress(block) for block in zeros(200 * MB)) + packer.flush()
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return whole[:33] + chunk + whole[33:]


def with_size(name: str, place: int, format: str, *values: int) -> bytes:
    """A good sample whose header names another size."""
    content = bytearray(sample(name))
    struct.pack_into(format, content, place, *values)
    return bytes(content)


def flac_of_an_hour_and_more() -> bytes:
    """36 bits of STREAMINFO say that 2^36 - 1 samples follow."""
    content = bytearray(sample("audio, FLAC"))
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    return bytes(content)


def tensors(**shapes: tuple[list[int], int, int]) -> bytes:
    """The header of a safetensors file: shape, first and last byte of each."""
    header = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [first, end]}
        for name, (shape, first, end) in shapes.items()
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def parquet_bomb(path: Path) -> None:
    """One long text, a million times; the file holds it once."""
    labels = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"path": labels, "label": labels}), path)


def many_rows(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"path,label\n")
        for _ in range(12):
            file.write(b"a,b\n" * 100_000)


def video_of(path: Path, make: Callable[[bytes], bytes]) -> None:
    from tests.fixtures import odd_clips

    odd_clips.count_up(path, frames=24)
    path.write_bytes(make(path.read_bytes()))


def scrambled(content: bytes) -> bytes:
    """The container stays whole, its pictures do not."""
    rng, out = random.Random(1), bytearray(content)
    place = content.index(b"mdat") + 16
    for _ in range(2000):
        out[rng.randrange(place, len(out) - 2000)] = rng.randrange(256)
    return bytes(out)


def size_in_header(content: bytes, width: int, height: int) -> bytes:
    """The sample entry of an MP4 says another size than its pictures have."""
    place = content.index(b"avc1") + 28
    return content[:place] + struct.pack(">HH", width, height) + content[place + 4 :]


def wrote(content: bytes | Callable[[], bytes]) -> Write:
    return lambda path: path.write_bytes(content() if callable(content) else content)


def _archive(write: Write, reader: str = "zip, deflated") -> Bomb:
    return Bomb(kind="archive", write=write, read=READERS[reader].read, raises=READERS[reader].raises)


def _zip(*members: tuple[str | zipfile.ZipInfo, bytes]) -> Bomb:
    return _archive(lambda path: zip_of(path, members))


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> Bomb:
    return _archive(lambda path: tar_of(path, members), "tar.gz")


def _image(content: bytes | Callable[[], bytes]) -> Bomb:
    reader = READERS["picture, PNG"]
    return Bomb(kind="image", write=wrote(content), read=reader.read, raises=reader.raises)


def _audio(name: str, content: bytes | Callable[[], bytes]) -> Bomb:
    reader = READERS[name]
    return Bomb(kind="audio", write=wrote(content), read=reader.read, raises=reader.raises)


def _table(suffix: str, write: Write) -> Bomb:
    reader = READERS[suffix.removeprefix(".")]
    return Bomb(kind="manifest", write=write, read=reader.read, raises=reader.raises, suffix=suffix)


def _weights(content: bytes) -> Bomb:
    reader = READERS["safetensors"]
    return Bomb(kind="weights", write=wrote(content), read=reader.read, raises=reader.raises)


def _video(make: Callable[[bytes], bytes]) -> Bomb:
    def read(path: Path) -> None:
        probe_apart(path, VideoLimits(max_pixels=1_000_000, max_seconds=60.0), within_s=60.0)

    return Bomb(kind="video", write=partial(video_of, make=make), read=read, raises=(DataError,), suffix=".mp4")


_PNG = picture()
_X = b"x" * 64

BOMBS: Mapping[str, Bomb] = {
    "a ZIP of 200 MB in 200 kB": _archive(partial(zip_bomb, lying=False)),
    "a ZIP of 200 MB that says 2 kB": _archive(partial(zip_bomb, lying=True)),
    "a ZIP of 30,000 members on the same bytes": _archive(partial(zip_of_one_kernel, members=30_000)),
    "a ZIP of 100,000 members": _archive(lambda path: zip_of(path, ((f"{n}.png", b"") for n in range(100_000)))),
    "a ZIP in a ZIP in a ZIP": _archive(zip_nested),
    "a ZIP with a link": _archive(zip_link),
    "a ZIP with ..": _zip(("../../a.png", _PNG), ("b.png", _PNG)),
    "a ZIP with an absolute path": _zip(("/tmp/a.png", _PNG), ("b.png", _PNG)),
    "a ZIP with a drive": _zip(("C:\\a.png", _PNG), ("b.png", _PNG)),
    "a ZIP with a NUL in a name": _archive(zip_nul),
    "a ZIP with a name of 60,000 characters": _zip(("a/" * 30_000 + "a.png", b"no picture"), ("b.png", b"")),
    "a tar of 1 GB in 1 MB": _archive(
        lambda path: tar_of(path, [(tar_member("zeros"), bytes(64 * MB)), (tar_member("lora.safetensors"), _X)]),
        "tar.gz",
    ),
    "a tar of 100,000 members": _archive(
        lambda path: tar_of(path, ((tar_member(f"{n}"), b"") for n in range(100_001))), "tar.gz"
    ),
    "a tar with ..": _tar((tar_member("../lora.safetensors"), _X)),
    "a tar with an absolute path": _tar((tar_member("/tmp/lora.safetensors"), _X)),
    "a tar with a link": _tar((tar_member("lora.safetensors", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")),
    "a tar with a hard link": _tar((tar_member("lora.safetensors", type=tarfile.LNKTYPE, linkname="/etc/passwd"), b"")),
    "a tar with a device": _tar((tar_member("lora.safetensors", type=tarfile.CHRTYPE, devmajor=1, devminor=5), b"")),
    "a PNG of 200 megapixels": _image(lambda: png_of(20_000, 10_000)),
    "a PNG of 4 gigapixels": _image(lambda: png_of(65_535, 65_535)),
    "a PNG with a comment of 200 MB": _image(png_text_bomb),
    "a GIF of 65,535 x 65,535": _image(lambda: with_size("picture, GIF", 6, "<HH", 65_535, 65_535)),
    "a BMP of 100,000 x 100,000": _image(lambda: with_size("picture, BMP", 18, "<ii", 100_000, 100_000)),
    "a picture that is a program": _image(b"\x7fELF" + bytes(1000)),
    "an SVG": _image(b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    "an EPS": _image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"),
    "a WAV that says 4 GB": _audio("audio, WAV", lambda: with_size("audio, WAV", 40, "<I", 0xFFFF_FFF0)[:60]),
    "a WAV at 1 Hz": _audio("audio, WAV", lambda: with_size("audio, WAV", 24, "<I", 1)),
    "a WAV at 2^31 - 1 Hz": _audio("audio, WAV", lambda: with_size("audio, WAV", 24, "<I", (1 << 31) - 1)),
    "a FLAC that says 2^36 samples": _audio("audio, FLAC", flac_of_an_hour_and_more),
    "an MP3 of nothing": _audio("audio, MP3", b"\xff\xfb\x90\x00" * 3),
    "a CSV of 1,200,000 rows": _table(".csv", many_rows),
    "a CSV with a line of 50 MB": _table(".csv", wrote(b"path,label\n" + b"a" * 50 * MB + b",b\n")),
    "a CSV with a NUL": _table(".csv", wrote(b"path,label\na\0b,c\n")),
    "a CSV of 100,000 columns": _table(".csv", wrote(b"path,label" + b",x" * 100_000)),
    "a CSV with an open quote": _table(".csv", wrote(b'path,label\n"a,b\n' + b"c,d\n" * 500_000)),
    "a JSONL of 100,000 levels": _table(".jsonl", wrote(b"[" * 100_000)),
    "a JSONL with a number of a million digits": _table(".jsonl", wrote(b'{"path": "a", "label": ' + b"1" * MB + b"}")),
    "a Parquet of 200 GB in 14 kB": _table(".parquet", parquet_bomb),
    "a header of 2^63 bytes": _weights(struct.pack("<Q", 1 << 63) + b"{}"),
    "a header of 100 MB and more": _weights(struct.pack("<Q", 100_000_001) + b"{" + b" " * 1000),
    "a header of 100,000 levels": _weights(struct.pack("<Q", 200_000) + b"[" * 200_000),
    "tensors that overlap": _weights(tensors(a=([2], 0, 8), b=([2], 0, 8)) + bytes(8)),
    "a tensor of 2^62 elements": _weights(tensors(a=([1 << 31, 1 << 31], 0, 1 << 64))),
    "a pickle": _weights(b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."),
    "a video that is cut off": _video(lambda content: content[: content.index(b"mdat") + 40]),
    "a video of 65,535 x 65,535": _video(lambda content: size_in_header(content, 65_535, 65_535)),
    "a video whose pictures are noise": _video(scrambled),
    "a video that is a playlist": _video(lambda _: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
}
