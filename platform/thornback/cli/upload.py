"""upload: send a large file in parts, and go on where it ended."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

from thornback.cli.options import Json, Url, server_url
from thornback.cli.output import Output, output_of
from thornback.client import Backoff, Client, Upload
from thornback.errors import NotFound, ThornbackError
from thornback.settings import load_settings

GIVE_UP_S = 600.0


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("upload")(upload)


def upload(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A ZIP of pictures and .txt captions, or a video", exists=True)],
    give_up_after: Annotated[float, typer.Option(min=0, help="Seconds without a server or progress")] = GIVE_UP_S,
    url: Url = None,
    json: Json = False,
) -> None:
    """Send a file; prints what to use as config.dataset or as a video's address.

    Ended in the middle, by Ctrl-C or a lost network, the same command goes on where it was.
    """
    output = output_of(ctx)
    sent = send_file(file, url, output, give_up_after_s=give_up_after)
    output.result(sent, Text(sent.uri))
    output.note(told_of(sent))


def send_file(file: Path, url: str | None, output: Output, *, give_up_after_s: float = GIVE_UP_S) -> Upload:
    """Send a file with a bar, on from where an earlier call ended."""
    settings = load_settings()
    address = server_url(settings, url)
    begun = Begun(settings.home / "uploads-begun.json")
    with Client(address, api_key=settings.api_key, backoff=Backoff(give_up_after_s=give_up_after_s)) as client:
        return _send(client, file.absolute(), begun, address, output)


class Begun:
    """Ids of uploads that were begun from this machine, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> str | None:
        """The id of an unfinished upload."""
        return self._read().get(key)

    def put(self, key: str, id: str | None) -> None:
        """Take an id down, or forget it."""
        known = self._read()
        known.pop(key, None)
        if id is not None:
            known[key] = id
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(jsons.dumps(known, indent=1))
        partial.replace(self._path)

    def _read(self) -> dict[str, str]:
        try:
            found: dict[str, str] = jsons.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found


def _send(client: Client, file: Path, begun: Begun, address: str, output: Output) -> Upload:
    facts = file.stat()
    key = f"{address} {file} {facts.st_size} {facts.st_mtime_ns}"  # another file is another upload
    bar = Progress(
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=output.stderr,
        transient=True,
    )
    with bar:
        task = bar.add_task(file.name, total=facts.st_size)

        def run(id: str | None) -> Upload:
            return client.upload(
                file,
                upload_id=id,
                on_begun=lambda made: begun.put(key, made),
                on_progress=lambda sent, _: bar.update(task, completed=sent),
                on_lost=lambda error, delay: bar.console.print(Text(f"{error}; again in {delay:.0f} s")),
            )

        id = begun.get(key)
        try:
            sent = run(id)
        except NotFound:  # it was left alone for too long
            if id is None:
                raise
            sent = run(None)
        except ThornbackError as error:
            if error.code == "invalid_data":
                begun.put(key, None)
            raise
    begun.put(key, None)
    return sent


def told_of(sent: Upload) -> str:
    """What was sent, for people."""
    if sent.content == "pictures":
        return f"{sent.images} pictures, {sent.captions} captions, {sent.length:,} bytes"
    video = sent.video or {}
    size = f"{video.get('width')} x {video.get('height')}"
    return f"a video of {video.get('duration_s', 0):.1f} s, {size}, {sent.length:,} bytes"
