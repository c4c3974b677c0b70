"""Reads a table of a stranger: CSV, JSON Lines or Parquet, of bounded size."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from thornback.artifacts.files import Location

MAX_BYTES = 256 << 20  # of the file, and of a Parquet file when it is unpacked
MAX_ROWS = 1_000_000
MAX_LINE_BYTES = 1 << 20
COLUMNS = ("path", "label", "snr_db", "approved", "split", "start", "duration")

_BATCH_ROWS = 200

Row = Mapping[str, Any]
Table = tuple[set[str], Iterable[Row]]

# What the readers raise for broken bytes; pyarrow's errors are ValueErrors, its memory's end a MemoryError.
BROKEN = (ValueError, OSError, csv.Error, RecursionError, OverflowError, MemoryError)


def read_csv(place: Location) -> Table:
    """The names of the columns, and the rows as they are read. Raises what stands in BROKEN, also between rows."""
    _look_through(place)
    reader = csv.DictReader(_text(place, newline=""))
    return set(reader.fieldnames or ()), (_known(row) for row in reader)


def read_jsonl(place: Location) -> Table:
    """See read_csv; the columns are those of the first row."""
    _look_through(place)
    rows = _objects(_text(place))
    first = next(rows, {})
    return set(first), (_known(row) for row in chain([first] if first else [], rows))


def _objects(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no JSON object")  # noqa: TRY004 - what a file holds is a value
        yield row


def read_parquet(place: Location) -> Table:
    """See read_csv."""
    import pyarrow as pa
    import pyarrow.parquet as pq  # 0.1 s that only this format needs

    with place.fs.open_input_file(place.path) as file:
        table = pq.ParquetFile(file)
        if table.metadata.num_rows > MAX_ROWS:
            raise ValueError(f"it has more than {MAX_ROWS} rows")
        columns = set(table.schema_arrow.names)

    def rows() -> Iterator[Row]:
        taken = 0
        with place.fs.open_input_file(place.path) as file:
            # Piece by piece: a file of kilobytes can unpack to terabytes, and only the unpacked bytes tell.
            for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=[n for n in COLUMNS if n in columns]):
                # A column may name each text once and refer to it: only written out does it tell its size.
                plain = [
                    column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
                    for column in batch.columns
                ]
                taken += sum(column.nbytes for column in plain)
                if taken > MAX_BYTES:
                    raise ValueError(f"unpacked, it has more than {MAX_BYTES} bytes")
                yield from pa.RecordBatch.from_arrays(plain, names=batch.schema.names).to_pylist()

    return columns, rows()


def _look_through(place: Location) -> None:
    """Go through a text once and keep nothing: one that is too large costs no memory."""
    size, lines, line = 0, 0, 0
    for chunk in place.chunks():
        size += len(chunk)
        lines += chunk.count(b"\n")
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        line = line + len(chunk) if first < 0 else max(line + first, len(chunk) - last - 1)
        if size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        if lines > MAX_ROWS + 1:
            raise ValueError(f"it has more than {MAX_ROWS} rows")
        if line > MAX_LINE_BYTES:
            raise ValueError(f"it has a line of more than {MAX_LINE_BYTES} bytes")
        line = line if first < 0 else len(chunk) - last - 1


def _text(place: Location, newline: str | None = None) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(_Stream(place.chunks())), encoding="utf-8-sig", newline=newline)


class _Stream(io.RawIOBase):
    """The pieces of a file, as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._left:
            self._left = next(self._chunks, b"")
        taken = min(len(into), len(self._left))
        into[:taken], self._left = self._left[:taken], self._left[taken:]
        return taken


def _known(row: Row) -> Row:
    return {name: row[name] for name in COLUMNS if name in row}
