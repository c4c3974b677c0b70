"""data check, data send and db upgrade: what one does before anything runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of
from thornback.jobs.convnext import TrainingConfig
from thornback.settings import load_settings

data_app = typer.Typer(no_args_is_help=True, help="Look at datasets.")
db_app = typer.Typer(no_args_is_help=True, help="Care for the database.")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(data_app, name="data")
    app.add_typer(db_app, name="db")


@data_app.command("check")
def check(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(help="Folder, manifest (CSV, JSONL, Parquet) or s3://…")],
    min_snr_db: Annotated[float, typer.Option(help="As in the job's config")] = 10.0,
    only_approved: Annotated[bool, typer.Option("--only-approved/--all", help="As in the job's config")] = True,
    validation_split: Annotated[float, typer.Option(min=0.0, max=0.5, help="As in the job's config")] = 0.2,
    max_broken_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="As in the job's config")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the split, as in the job's config")] = 0,
    json: Json = False,
) -> None:
    """Read a dataset as a job would: what is kept and dropped, the classes, the split, broken files."""
    from thornback.datasets.audio import check as check_dataset  # Parquet and audio: a second of imports

    config = TrainingConfig(
        min_snr_db=min_snr_db,
        only_approved=only_approved,
        validation_split=validation_split,
        max_broken_share=max_broken_share,
        seed=seed,
    )
    report = check_dataset(path, config)
    output_of(ctx).result(report.as_dict(), Text("\n".join(report.lines())))


@data_app.command("send")
def send(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="A folder or a ZIP of pictures and .txt captions", exists=True)],
    url: Url = None,
    json: Json = False,
) -> None:
    """Send pictures to the server, for a training at a provider; prints what to use as config.dataset."""
    from thornback.datasets.packing import zip_folder  # pictures and arrays: half a second of imports

    output = output_of(ctx)
    with tempfile.TemporaryDirectory(prefix="thornback-send-") as folder, connect(url) as client:
        sent = client.send_dataset(zip_folder(str(path), Path(folder)) if path.is_dir() else path)
    output.result(sent, Text(sent.uri))
    output.note(f"{sent.images} pictures, {sent.captions} captions, {sent.size_bytes:,} bytes")


@db_app.command("upgrade")
def upgrade_database(ctx: typer.Context, json: Json = False) -> None:
    """Bring the database of THORNBACK_DATABASE_URL to the present schema; safe to repeat."""
    from thornback.store import migrate  # SQLAlchemy and Alembic: half a second of imports

    settings = load_settings()
    before = migrate.current_revision(settings.database_url)
    migrate.upgrade(settings.database_url)
    after = migrate.current_revision(settings.database_url)
    told = f"already at {after}" if before == after else f"{before or 'empty'} -> {after}"
    output_of(ctx).result({"from": before, "to": after}, Text(told))
