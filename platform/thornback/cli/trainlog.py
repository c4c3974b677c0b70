"""trainlog parse: what a trainer's log says of progress, as JSON lines; needs no server."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from thornback.errors import InvalidInput
from thornback.trainlog.parser import LogParser
from thornback.trainlog.sample import Sample

_CHUNK = 1 << 18  # bytes; a pipe gives what it has, so that `tail -f` is followed as it grows

trainlog_app = typer.Typer(no_args_is_help=True, help="Read what trainers print.")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(trainlog_app, name="trainlog")


@trainlog_app.command("parse")
def parse(
    file: Annotated[str, typer.Argument(help="File with the log, or - for standard input, also while it grows")],
    steps: Annotated[int | None, typer.Option(min=1, help="Steps that were asked for: tells bars apart")] = None,
    job_name: Annotated[str | None, typer.Option(help="What the trainer calls its bar, where that is known")] = None,
) -> None:
    """Print each bar and line of progress as JSON: phase, step, total, percent, rate, loss, lr, epoch, eta_seconds.

    phase is training, or downloading, loading, preparing, captioning, caching, sampling, evaluating, saving, other.
    rate is in steps per second. What a line does not say is null, and so is a loss that is not a number. percent
    is of the whole training; it is of the epoch only where the log does not say how many epochs there are.
    """
    parser = LogParser(steps=steps, job_name=job_name)
    with ExitStack() as stack:
        source = sys.stdin.buffer if file == "-" else stack.enter_context(_opened(file))
        for text in _texts(source):
            _print(parser.feed(text))
        _print(parser.close())


def _opened(file: str) -> BinaryIO:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise InvalidInput.field("file", f"cannot be read: {error.strerror or error}") from error


def _texts(source: BinaryIO) -> Iterator[str]:
    """Decoded as it comes; bytes that are no UTF-8 are replaced, for a log may hold anything."""
    read = getattr(source, "read1", source.read)
    first: bytes = read(_CHUNK)
    decoder = codecs.getincrementaldecoder(_encoding(first))(errors="replace")
    yield decoder.decode(first)
    while chunk := read(_CHUNK):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _encoding(first: bytes) -> str:
    """PowerShell's `>` writes UTF-16 with a mark; everything else is read as UTF-8."""
    return "utf-16" if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _print(samples: list[Sample]) -> None:
    if samples:
        sys.stdout.write("".join(orjson.dumps(sample.as_dict()).decode() + "\n" for sample in samples))
        sys.stdout.flush()
