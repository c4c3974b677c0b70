"""`thornback`: the commands and how their errors become exit codes."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from thornback import __version__
from thornback.cli import (
    access,
    audit,
    backup,
    data,
    demo,
    doctor,
    frame_sets,
    image_sets,
    jobs,
    lora,
    models,
    platform_commands,
    queue,
    quota,
    report,
    simulate,
    storage,
    sweep,
    trainlog,
    upload,
    video,
    watch,
    webhook,
    webhooks,
    wishes,
)
from thornback.cli.exits import HELP, exit_of_error
from thornback.cli.output import Output
from thornback.errors import ThornbackError


class _Commands(TyperGroup):
    """Ends every command that raises one of our errors with its sentence and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ThornbackError as error:
            ctx.ensure_object(Output).error(error)
            raise typer.Exit(exit_of_error(error)) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # settings hold database passwords
    help="Distributed training on Ray behind one HTTP API, with progress that is live and true.",
    epilog=HELP,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"thornback {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: bool = typer.Option(False, "--version", help="Show the version", callback=_version, is_eager=True),
) -> None:
    """Options before the command."""


platform_commands.register(app)
demo.register(app)
jobs.register(app)
wishes.register(app)
queue.register(app)
sweep.register(app)
quota.register(app)
image_sets.register(app)
video.register(app)
frame_sets.register(app)
watch.register(app)
data.register(app)
storage.register(app)
backup.register(app)
upload.register(app)
report.register(app)
doctor.register(app)
trainlog.register(app)
simulate.register(app)
webhook.register(app)
webhooks.register(app)
lora.register(app)
models.register(app)
access.register(app)
audit.register(app)

if __name__ == "__main__":
    app()
