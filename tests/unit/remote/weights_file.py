"""A small safetensors file and the tar that a trainer puts it into."""

from __future__ import annotations

import base64
import io
import json
import struct
import tarfile


def safetensors(values: int = 4) -> bytes:
    """One tensor of so many float32."""
    header = json.dumps({"lora": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 4 * values


def tar(content: bytes, name: str = "output/flux_train_replicate/lora.safetensors") -> bytes:
    """As Replicate's trainer packs it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def address(content: bytes, kind: str = "application/x-tar") -> str:
    """The file itself as a data: address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
