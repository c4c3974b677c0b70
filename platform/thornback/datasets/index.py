"""A dataset as one Parquet file: what a run found when it began, so that its restarts see the same."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from thornback.datasets.audio import AudioDataset
from thornback.datasets.clips import Clip
from thornback.datasets.report import BrokenFile, DatasetReport

_COLUMNS = pa.schema(
    [
        ("path", pa.string()),
        ("label", pa.string()),
        ("split", pa.string()),
        ("start", pa.float64()),
        ("duration", pa.float64()),
        ("version", pa.string()),
    ]
)
_META = b"thornback"


def write_index(dataset: AudioDataset) -> bytes:
    """The file's content. snr_db and approved are left out: the filters have been applied."""
    parts = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    rows = [
        {
            "path": clip.path,
            "label": clip.label,
            "split": split,
            "start": clip.start,
            "duration": clip.duration,
            "version": clip.version,
        }
        for split, clips in parts.items()
        for clip in clips
    ]
    meta = {"root": dataset.root, "classes": dataset.classes, "report": dataset.report.as_dict(most_broken=10_000)}
    table = pa.Table.from_pylist(rows, schema=_COLUMNS.with_metadata({_META: json.dumps(meta).encode()}))
    target = BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


def read_index(content: bytes) -> AudioDataset:
    """What `write_index` was given, but for snr_db and approved."""
    table = pq.read_table(BytesIO(content))
    meta: dict[str, Any] = json.loads(table.schema.metadata[_META])
    parts: dict[str, list[Clip]] = {"train": [], "val": [], "test": []}
    for row in table.to_pylist():
        parts[row["split"]].append(Clip(**row))
    report = meta["report"]
    report["broken"] = tuple(BrokenFile(**file) for file in report["broken"])
    report["sample_rates"] = {int(rate): count for rate, count in report["sample_rates"].items()}
    report["warnings"] = tuple(report["warnings"])
    return AudioDataset(
        root=meta["root"],
        classes=tuple(meta["classes"]),
        train=tuple(parts["train"]),
        val=tuple(parts["val"]),
        test=tuple(parts["test"]),
        report=DatasetReport(**report),
    )
