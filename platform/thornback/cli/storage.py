"""storage init, show and sweep: where files are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from thornback.artifacts.files import join, locate, without_secrets
from thornback.artifacts.s3 import S3Location
from thornback.artifacts.s3_lifecycle import ABORT_DAYS, has_rules, install_rules
from thornback.artifacts.sweep import sweep as sweep_storage
from thornback.cli.options import Json
from thornback.cli.output import output_of
from thornback.settings import load_settings

storage_app = typer.Typer(no_args_is_help=True, help="Care for the storage of files.")

AREAS = ("loras", "models", "datasets", "uploads", "training-images", "temp", "caches")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(storage_app, name="storage")


@storage_app.command("init")
def init(ctx: typer.Context, json: Json = False) -> None:
    """Set up THORNBACK_STORAGE: a folder is made; a bucket learns to empty temp/ by itself. Safe to repeat."""
    storage = load_settings().storage
    place, shown = locate(storage), without_secrets(storage)
    if isinstance(place, S3Location):
        changed = install_rules(place)
        rules = f"temp/ is emptied after a day, broken uploads after {ABORT_DAYS}"
        told = f"{shown}: {'' if changed else 'already so: '}{rules}; the bucket's other rules stay"
    else:
        changed = not place.exists()
        Path(place.path).mkdir(parents=True, exist_ok=True)
        told = f"{shown}: {'made' if changed else 'already there'}; the platform empties temp/ while it runs"
    output_of(ctx).result({"storage": shown, "changed": changed}, Text(told))


@storage_app.command("show")
def show(ctx: typer.Context, json: Json = False) -> None:
    """Where files are kept, and how many."""
    storage = load_settings().storage
    place = locate(storage)
    value: dict[str, Any] = {"storage": without_secrets(storage), "kind": "folder"}
    if isinstance(place, S3Location):
        value |= {"kind": "s3", "endpoint": place.store.endpoint, "encryption": place.store.sse}
        value["rules"] = has_rules(place)
    value["areas"] = {name: _area(join(storage, name)) for name in AREAS}
    output_of(ctx).result(value, _table(value))


@storage_app.command("sweep")
def sweep(ctx: typer.Context, json: Json = False) -> None:
    """Delete temporary files older than a day now; the platform does it every hour."""
    swept = sweep_storage(load_settings().storage, now=datetime.now(UTC))
    told = f"{swept.files} files deleted, {swept.size_bytes:,} bytes"
    output_of(ctx).result({"files": swept.files, "size_bytes": swept.size_bytes}, Text(told))


def _area(uri: str) -> dict[str, int]:
    entries = locate(uri).files()
    return {"files": len(entries), "size_bytes": sum(entry.size_bytes for entry in entries)}


def _table(value: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("storage", Text(value["storage"]))
    if value["kind"] == "s3":
        table.add_row("endpoint", Text(value["endpoint"] or "AWS"))
        table.add_row("encryption", Text(value["encryption"] or "the bucket's own default"))
        missing = Text("missing; run thornback storage init", style="red")
        table.add_row("rules", Text("temp/ is emptied after a day") if value["rules"] else missing)
    for name, area in value["areas"].items():
        table.add_row(f"{name}/", Text(f"{area['files']:,} files, {area['size_bytes']:,} bytes"))
    return table
