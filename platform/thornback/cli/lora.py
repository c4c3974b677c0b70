"""lora inspect and convert: what is in a LoRA file, and the same under the other tensor names."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.options import Json
from thornback.cli.output import output_of
from thornback.errors import InvalidInput
from thornback.lora.inspect import LoraFile, inspect
from thornback.lora.keys import Format

lora_app = typer.Typer(no_args_is_help=True, help="Look at LoRA files.")
MEBI = 1024**2


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(lora_app, name="lora")


@lora_app.command("inspect")
def inspect_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .safetensors file")],
    header: Annotated[bool, typer.Option("--header", help="Show the whole header as well")] = False,
    json: Json = False,
) -> None:
    """Family, rank, trigger word, size and header of a LoRA; reads no tensor."""
    found = inspect(file)
    ranks = {str(rank): layers for rank, layers in found.ranks.items()}
    output_of(ctx).result(asdict(found) | {"rank": found.rank, "ranks": ranks}, _table(found, with_header=header))


@lora_app.command("convert")
def convert_file(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(help="A .safetensors file")],
    target: Annotated[Path, typer.Argument(help="The file to write")],
    to: Annotated[Format, typer.Option(help="diffusers: dots; kohya: underscores, for SD 1.5 and SDXL")],
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file")] = False,
    json: Json = False,
) -> None:
    """Write a LoRA under the other tensor names, alpha folded in, so that it is as strong in every program."""
    from thornback.lora.convert import convert  # torch: seconds of imports

    if target.exists() and not force:
        raise InvalidInput.field("target", f"{target} exists; choose another name or add --force")
    layers = convert(source, target, to=to)
    answer = {"source": str(source), "target": str(target), "format": to, "layers": layers}
    output_of(ctx).result(answer, f"{target}: {layers} layers in {to}'s names")


def _table(found: LoraFile, *, with_header: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    ranks = ", ".join(f"{rank} ({layers} layers)" for rank, layers in found.ranks.items())
    rows = {
        "file": f"{found.path}  {found.size_bytes / MEBI:.1f} MiB",
        "family": found.family or "not told, and not to be seen from its layers",
        "base model": found.base_model or "not told",
        "trigger word": found.trigger_word or "none",
        "rank": ranks,
        "alpha": "folded: every reader loads it at the same strength" if found.alpha == "rank" else str(found.alpha),
        "names": found.key_format,
        "layers": ", ".join(f"{name} {count}" for name, count in found.components.items()),
        "weights": f"{found.parameters:,}  {', '.join(found.dtypes)}",
    }
    if found.foreign:
        rows["foreign"] = f"{len(found.foreign)} tensors that belong to no LoRA, e.g. {found.foreign[0]}"
    if with_header:
        rows |= found.header
    for name, value in rows.items():
        table.add_row(name, Text(value))  # Text: brackets in a header are no markup
    return table
