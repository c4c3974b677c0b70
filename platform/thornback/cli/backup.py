"""backup, restore: the database and the storage in one folder, taken while the platform runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from thornback.artifacts.files import without_secrets
from thornback.cli.options import Json
from thornback.cli.output import output_of
from thornback.node.record import NodeFile
from thornback.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    ctx: typer.Context,
    to: Annotated[str, typer.Argument(metavar="TO", help="A new folder, or s3://bucket/prefix")],
    json: Json = False,
) -> None:
    """Copy the database and the storage, while jobs run; whoever has the copy can read everything in it."""
    from thornback.backup.take import take_backup  # SQL takes half a second to load

    manifest = take_backup(load_settings(), to, at=datetime.now(UTC))
    out = output_of(ctx)
    for path in manifest.absent:
        out.note(f"a row names {path}, which the storage no longer had", style="yellow")
    out.result(_figures(to, manifest), _told("kept", manifest, without_secrets(to)))


def restore(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="What `thornback backup` was given")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where rows or files are there already; the rows go")
    ] = False,
    json: Json = False,
) -> None:
    """Put a backup into an empty database and storage; the platform must not run meanwhile.

    Jobs that ran when it was taken are taken up from their last checkpoints at the next start.
    """
    from thornback.backup.restore import restore_backup

    settings = load_settings()
    node = NodeFile(settings.home)
    node.acquire()
    try:
        manifest = restore_backup(settings, source, replace=replace)
    finally:
        node.release()
    output_of(ctx).result(_figures(source, manifest), _told("restored", manifest, without_secrets(source)))


def _figures(place: str, manifest: Any) -> dict[str, Any]:
    return {
        "backup": without_secrets(place),
        "made_at": manifest.made_at,
        "revision": manifest.revision,
        "rows": manifest.rows,
        "files": len(manifest.files),
        "size_bytes": manifest.size_bytes,
        "absent": list(manifest.absent),
    }


def _told(done: str, manifest: Any, place: str) -> Text:
    rows = sum(manifest.rows.values())
    made = f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    return Text(
        f"{done}: {rows:,} rows and {len(manifest.files):,} files, {manifest.size_bytes:,} bytes, of {made}; {place}"
    )
