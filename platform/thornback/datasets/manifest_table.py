"""Reads a table of a stranger: CSV, JSON Lines or Parquet, of bounded size."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from thornback.artifacts.files import Location

MAX_BYTES = 256 << 20  # of the file, and of a Parquet file when it is unpacked
MAX_ROWS = 1_000_000
COLUMNS = ("path", "label", "snr_db", "approved", "split", "start", "duration")

_BATCH_ROWS = 200

Row = Mapping[str, Any]
Table = tuple[set[str], Iterable[Row]]

# What the readers raise for broken bytes; pyarrow's errors are ValueErrors, its memory's end a MemoryError.
BROKEN = (ValueError, OSError, csv.Error, RecursionError, OverflowError, MemoryError)


def read_csv(place: Location) -> Table:
    """The names of the columns, and the rows. Raises what stands in BROKEN."""
    reader = csv.DictReader(io.TextIOWrapper(io.BytesIO(_content(place)), encoding="utf-8-sig", newline=""))
    rows: list[Row] = []
    for row in reader:
        rows.append(row)
        _check_count(len(rows))
    return set(reader.fieldnames or ()), rows


def read_jsonl(place: Location) -> Table:
    """See read_csv."""
    rows: list[Row] = []
    columns: set[str] = set()
    for number, line in enumerate(_content(place).decode("utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no JSON object")  # noqa: TRY004 - what a file holds is a value
        columns |= row.keys()
        rows.append({name: row[name] for name in COLUMNS if name in row})
        _check_count(len(rows))
    return columns, rows


def read_parquet(place: Location) -> Table:
    """See read_csv."""
    import pyarrow as pa
    import pyarrow.parquet as pq  # 0.1 s that only this format needs

    with place.fs.open_input_file(place.path) as file:
        table = pq.ParquetFile(file)
        columns = set(table.schema_arrow.names)
        _check_count(table.metadata.num_rows)
        rows: list[Row] = []
        taken = 0
        # Piece by piece: a file of kilobytes can unpack to terabytes, and only the unpacked bytes tell.
        for batch in table.iter_batches(_BATCH_ROWS, columns=[name for name in COLUMNS if name in columns]):
            # A column may name each text once and refer to it: only written out does it tell its size.
            plain = [
                column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
                for column in batch.columns
            ]
            taken += sum(column.nbytes for column in plain)
            if taken > MAX_BYTES:
                raise ValueError(f"unpacked, it has more than {MAX_BYTES} bytes")
            rows += pa.RecordBatch.from_arrays(plain, names=batch.schema.names).to_pylist()
            _check_count(len(rows))
    return columns, rows


def _content(place: Location) -> bytes:
    content = bytearray()
    for chunk in place.chunks():
        content += chunk
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
    return bytes(content)


def _check_count(rows: int) -> None:
    if rows > MAX_ROWS:
        raise ValueError(f"it has more than {MAX_ROWS} rows")
