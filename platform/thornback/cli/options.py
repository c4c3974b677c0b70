"""Options that several commands share, and what they resolve to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from thornback.cli.output import Output
from thornback.client import Client, Job
from thornback.errors import InvalidInput, JobNotFound, ThornbackError
from thornback.node.record import NodeFile
from thornback.settings import Settings, load_settings

_UUID_CHARS = 36
_RECENT = 200  # jobs in which a short id is looked for


def _set_json(ctx: typer.Context, value: bool) -> bool:
    if value:
        ctx.find_root().ensure_object(Output).json = True
    return value


def complete_job(incomplete: str) -> list[tuple[str, str]]:
    """Shell completion: ids of recent jobs. No server means no suggestions."""
    try:
        settings = load_settings()
        with Client(server_url(settings, None), timeout_s=1.0, api_key=settings.api_key) as client:
            jobs = client.page(limit=50).jobs
    except ThornbackError:
        return []
    return [(job.id, f"{job.job_name} ({job.status})") for job in jobs if job.id.startswith(incomplete)]


Url = Annotated[
    str | None, typer.Option("--url", help="The API's address [default: THORNBACK_URL, or the node of this machine]")
]
Json = Annotated[
    bool,
    typer.Option("--json", help="JSON on stdout, words on stderr", callback=_set_json, is_eager=True),
]
JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="Id, a unique beginning or end of it, or `last`",
        autocompletion=complete_job,
        show_default=False,
    ),
]
LastJobId = Annotated[
    str,
    typer.Argument(metavar="[JOB]", help="Id, a unique beginning or end of it", autocompletion=complete_job),
]


def server_url(settings: Settings, url: str | None) -> str:
    """Where the API is: the option, THORNBACK_URL, the node that runs in this home, host and port."""
    if url or settings.url:
        return url or settings.url or ""
    record = NodeFile(settings.home).read()
    return record.url if record is not None and record.ready else f"http://{settings.host}:{settings.port}"


@contextmanager
def connect(url: str | None) -> Iterator[Client]:
    """A client for one command."""
    settings = load_settings()
    with Client(server_url(settings, url), api_key=settings.api_key) as client:
        yield client


def find_job(client: Client, text: str) -> Job:
    """The job that `text` means.

    Raises:
        JobNotFound: none does.
        InvalidInput: more than one does.
    """
    if len(text) == _UUID_CHARS:
        return client.get(text)
    found = list(client.list(limit=1 if text == "last" else _RECENT))
    if text != "last":
        found = [job for job in found if job.id.startswith(text) or job.id.endswith(text)]
    if not found:
        raise JobNotFound(text)
    if len(found) > 1:
        raise InvalidInput.field("job", f"{text!r} could be {', '.join(job.id for job in found[:5])}")
    return client.get(found[0].id)
