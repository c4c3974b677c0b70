"""The two ways in: a job of the platform, or a configuration file without a platform."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Protocol

import ray

from thornback.artifacts.files import join
from thornback.errors import InvalidInput
from thornback.jobs.events import Attempt
from thornback.jobs.spec import JobSpec, parse_spec
from thornback.jobs.state import JobState
from thornback.metrics.actor import connect
from thornback.metrics.reporter import NullReporter, Reporter, open_reporter
from thornback.settings import Settings, load_settings
from thornback.telemetry import traces
from train_jobs.common.arguments import Arguments
from train_jobs.common.console import ConsoleReporter, say
from train_jobs.common.driver import EXIT_OK, EXIT_USAGE, RunDriver


class Driver(Protocol):
    """One run, whatever it is made of."""

    def main(self) -> int:
        """Run and tell the end. Returns the exit code."""
        ...


class MakeDriver(Protocol):
    """How a kind of job makes its driver. Raises InvalidInput for a specification of another kind."""

    def __call__(
        self,
        *,
        spec: JobSpec,
        settings: Settings,
        run_uri: str,
        reporter: Reporter,
        job_id: str | None = None,
        attempt: Attempt | None = None,
        resume_from: str | None = None,
        is_ray_own: bool = False,
    ) -> Driver:
        """A driver of one run."""
        ...


def run_job(make: MakeDriver, job_id: str, *, attempt: int) -> int:
    """Run a job of the platform. Returns the exit code."""
    settings = load_settings()
    ray.init(namespace=settings.namespace)
    state = asyncio.run(connect(settings).job(job_id))
    if (why := why_not(state)) is not None:
        say(f"== nothing to do for attempt {attempt} of job {job_id}: {why}")
        return EXIT_OK
    number = Attempt(attempt)
    reporter = open_reporter(job_id, attempt=number, rank=-1, namespace=settings.namespace)
    driver = make(
        spec=parse_spec(state.spec),
        settings=settings,
        run_uri=settings.run_uri(job_id),
        reporter=ConsoleReporter(reporter, is_captured=False),
        job_id=job_id,
        attempt=number,
        resume_from=state.resume_from,
    )
    if isinstance(driver, RunDriver):
        driver.runs_lost = state.runs_lost
    about: traces.About = {"thornback.job_id": job_id, "thornback.attempt": attempt}
    with traces.span("run", parent=settings.traceparent, about=about):
        code = driver.main()
    traces.close()
    return code


def why_not(state: JobState) -> str | None:
    """Why a driver leaves at once, None where it runs. Said aloud: else its exit could not be told from a loss."""
    if state.final is not None:
        return f"it is {state.final} already"
    return "it is being cancelled" if state.cancel_requested else None


def run_alone(make: MakeDriver, config_file: str, *, kind: str, output: str | None) -> int:
    """Run a configuration without a platform. Returns the exit code."""
    try:
        settings = load_settings()
        spec = read_spec(Path(config_file), kind=kind)
        uri = output or join(settings.storage, spec.job_name)
        if "://" not in uri:
            uri = str(Path(uri).expanduser().absolute())
        # Only a Ray that was named: one that merely runs on this machine may belong to somebody else.
        address = settings.ray_address or os.environ.get("RAY_ADDRESS")
        driver = make(
            spec=spec,
            settings=settings,
            run_uri=uri,
            reporter=ConsoleReporter(NullReporter(), is_captured=False),
            is_ray_own=address is None,
        )
    except InvalidInput as error:
        say(f"!! {error}")
        return EXIT_USAGE
    ray.init(address=address or "local", namespace=settings.namespace)
    return driver.main()


def read_spec(path: Path, *, kind: str) -> JobSpec:
    """A whole job, or only its configuration; then the job is named after the file.

    Raises:
        InvalidInput: not there, no JSON, or a field is wrong.
    """
    try:
        body = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput.field("config", f"{path} cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise InvalidInput.field("config", f"{path} holds no JSON object")
    whole = body if "job_name" in body else {"job_name": path.stem, "config": body}
    return parse_spec({"kind": kind, **whole})


def run(make: MakeDriver, arguments: Arguments, *, kind: str) -> int:
    """Run one training. Returns the exit code: 0 done or stopped on request, 1 failed, 2 wrong arguments."""
    if arguments.job_id is not None:
        return run_job(make, arguments.job_id, attempt=arguments.attempt)
    return run_alone(make, arguments.config or "", kind=kind, output=arguments.output)
