"""Jobs as Ray Jobs: in the dashboard under their names, with logs where Ray users look.

The code is installed on every node, so nothing is uploaded. The driver takes no CPU: the workers that
it starts take what the spec asks for.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import requests
from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient, JobType
from ray.util.state import get_log
from ray.util.state.exception import RayStateApiException

from thornback.backends import ray_nodes
from thornback.backends.port import Backend, BackendState, Phase, Resources, Survey, job_of, submission_id
from thornback.errors import BackendError, Unavailable
from thornback.jobs.state import JobState
from thornback.secret_settings import private_variables
from thornback.settings import Settings
from thornback.telemetry import traces

T = TypeVar("T")

# The module that runs a kind of job: `python -m <module> --job-id … --attempt …`.
ENTRYPOINTS: Mapping[str, str] = {
    "convnext": "train_jobs.convnext",
    "lora": "train_jobs.lora",
    "sweep": "train_jobs.sweep",
    "video_lora": "train_jobs.video_lora",
}

# How a driver and its workers know which trace they belong to.
TRACEPARENT = "THORNBACK_TRACEPARENT"

# Ray's HTTP calls answer in milliseconds; a submission waits for the head's job agent.
HTTP_TIMEOUT_S = 15.0
_CALL_TIMEOUT_S = 30.0

# A training driver has no business with the database or the providers, and the dashboard shows a job's environment.
_PRIVATE = private_variables(Settings)

_PHASES: Mapping[JobStatus, Phase] = {
    JobStatus.PENDING: Phase.PENDING,
    JobStatus.RUNNING: Phase.RUNNING,
    JobStatus.SUCCEEDED: Phase.SUCCEEDED,
    JobStatus.FAILED: Phase.FAILED,
    JobStatus.STOPPED: Phase.STOPPED,
}
_STATUS_CODE = re.compile(r"status code (\d{3})")
_NO_ENTRYPOINT = "Entrypoint not found."  # JobInfoStorageClient.put_status of a record that is gone
_NOT_FOUND = 404
_SERVER_ERRORS = 500


class _Client(JobSubmissionClient):
    """Ray's client with an end to each request; without one a hung dashboard hangs its caller for ever."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        response: requests.Response = super()._do_request(method, endpoint, **{"timeout": HTTP_TIMEOUT_S, **options})
        return response


class RayClusterBackend(Backend):
    """The cluster that this process is connected to (`ray.init` has been called)."""

    name = "ray"

    def __init__(
        self, settings: Settings, *, entrypoints: Mapping[str, str] = ENTRYPOINTS, dashboard: str | None = None
    ) -> None:
        """`dashboard`: its URL; None: ask the cluster."""
        self._entrypoints = entrypoints
        self._namespace = settings.namespace
        self._base = (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
        self._environment = {name: value for name, value in settings.environment().items() if name not in _PRIVATE}
        self._dashboard = dashboard
        self._client: _Client | None = None
        self._lock = threading.Lock()

    async def start(self, job: JobState, attempt: int) -> None:
        """See Backend."""
        module = self._entrypoints.get(job.kind)
        if module is None:
            raise BackendError(f"no entry point runs jobs of kind {job.kind!r}", job_id=job.id)
        command = shlex.join((sys.executable, "-m", module, "--job-id", job.id, "--attempt", str(attempt)))
        name = submission_id(job.id, attempt)
        metadata = {
            "job_id": job.id,
            "job_name": job.job_name,  # what the dashboard shows
            "user": job.user,
            "kind": job.kind,
            "attempt": str(attempt),
            "namespace": self._namespace,
            "url": f"{self._base}/#/jobs/{job.id}",  # from the dashboard to our page, which leads back
        }

        environment = dict(self._environment)
        if (here := traces.here()) is not None:
            environment[TRACEPARENT] = here

        def submit(client: _Client) -> None:
            # On a machine with several clusters Ray would send the driver to the newest of them.
            # `exec`: the exit code that Ray sees is the driver's own, signals included.
            entrypoint = f"RAY_ADDRESS={shlex.quote(ray_nodes.gcs_address())} exec {command}"
            try:
                client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=name,
                    metadata=metadata,
                    runtime_env={"env_vars": environment},
                )
            except RuntimeError:
                # Ray answers 500 to an id that it knows, with no code of its own for it.
                if _look(client, name) is None:
                    raise

        await self._call(submit)

    async def state(self, submission_id: str) -> BackendState:
        """See Backend."""
        details = await self._call(lambda client: _look(client, submission_id))
        return BackendState(phase=Phase.UNKNOWN) if details is None else _state(details)

    async def stop(self, submission_id: str) -> None:
        """See Backend."""
        await self._call(lambda client: _unless_unknown(lambda: client.stop_job(submission_id)))

    async def log_tail(self, submission_id: str, lines: int) -> str:
        """See Backend."""

        def read(client: _Client) -> str:
            details = _look(client, submission_id)
            if details is None or details.driver_node_id is None:
                return ""  # it never started
            try:
                # By file name: by submission id Ray's own call does not find the node. The client's
                # get_job_logs has no tail, and a log may be large.
                found = get_log(
                    address=ray_nodes.gcs_address(),
                    node_id=details.driver_node_id,
                    filename=f"job-driver-{submission_id}.log",
                    tail=lines,
                    errors="replace",
                )
                return "".join(found)
            except RayStateApiException:
                return ""  # its node is gone

        return await self._call(read)

    async def forget(self, job: JobState) -> None:
        """See Backend."""

        def delete(client: _Client) -> None:
            for attempt in range(1, max(job.attempt, 1) + 1):
                name = submission_id(job.id, attempt)
                _unless_unknown(lambda name=name: client.delete_job(name))  # type: ignore[misc]

        await self._call(delete)

    async def survey(self) -> Survey:
        """See Backend."""
        return await self._call(self._survey)

    async def request(self, bundles: Sequence[Resources]) -> None:
        """See Backend."""
        await self._call(lambda _: ray_nodes.request(list(bundles)))

    def _survey(self, client: _Client) -> Survey:
        submissions = [details for details in client.list_jobs() if details.type is JobType.SUBMISSION]
        for name in map(str, (details.submission_id for details in submissions if _is_ghost(details))):
            _unless_unknown(lambda name=name: client.delete_job(name))  # type: ignore[misc]
        ours = {str(details.submission_id): details for details in submissions if self._is_ours(details)}
        drivers = {details.job_id: name for name, details in ours.items() if details.job_id}
        by_node: dict[str, Resources] = defaultdict(Resources)
        by_submission: dict[str, Resources] = defaultdict(Resources)
        for bundle in ray_nodes.bundles():
            if bundle.ray_job_id in drivers:
                by_node[bundle.node_id] += bundle.amount
                by_submission[drivers[bundle.ray_job_id]] += bundle.amount
        alive = ray_nodes.alive()
        return Survey(
            submissions={name: _state_among(details, alive) for name, details in ours.items()},
            nodes=ray_nodes.nodes(by_node),
            holdings=dict(by_submission),
        )

    def _is_ours(self, details: JobDetails) -> bool:
        metadata = details.metadata or {}
        return metadata.get("namespace") == self._namespace and job_of(details.submission_id or "") is not None

    async def _call(self, call: Callable[[_Client], T]) -> T:
        """Run a blocking call in a thread, and turn what goes wrong into our errors."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(lambda: call(self._connected())), _CALL_TIMEOUT_S)
        except (requests.RequestException, ConnectionError, TimeoutError, RayError) as error:
            self._client = None  # the dashboard may come back under another address
            raise Unavailable(f"Ray does not answer: {_first_line(error)}") from error
        except RuntimeError as error:
            raise _own_error(error) from error

    def _connected(self) -> _Client:
        with self._lock:
            if self._client is None:
                self._client = _Client(self._dashboard or ray_nodes.gcs_address())
            return self._client


def _look(client: _Client, name: str) -> JobDetails | None:
    found: list[JobDetails] = []
    _unless_unknown(lambda: found.append(client.get_job_info(name)))
    return found[0] if found else None


def _is_ghost(details: JobDetails) -> bool:
    """Ray writes down the end of a driver that it was still ending when its record was deleted, and nothing else."""
    empty = details.entrypoint == _NO_ENTRYPOINT and not details.metadata
    return empty and job_of(details.submission_id or "") is not None and not _PHASES[details.status].is_alive


def _unless_unknown(call: Callable[[], object]) -> None:
    """Call, and take "there is no such job" for an answer."""
    try:
        call()
    except RuntimeError as error:
        if _status_code(error) != _NOT_FOUND:
            raise


def _state_among(details: JobDetails, nodes: Collection[str]) -> BackendState:
    """After a restart of the head nobody in Ray looks after the drivers that it had, until another is submitted."""
    state = _state(details)
    node = details.driver_node_id
    if state.phase is not Phase.RUNNING or node is None or node in nodes:
        return state
    return BackendState(phase=Phase.FAILED, message=f"the node of the driver is dead: {node}")


def _state(details: JobDetails) -> BackendState:
    return BackendState(
        phase=_PHASES[details.status], message=details.message or "", exit_code=details.driver_exit_code
    )


def _own_error(error: RuntimeError) -> BackendError | Unavailable:
    code = _status_code(error)
    if code is None or "No available agent" in str(error):
        return Unavailable(f"Ray does not answer: {_first_line(error)}")
    return BackendError(f"Ray refused: {_last_line(error)}", status=code)


def _status_code(error: RuntimeError) -> int | None:
    found = _STATUS_CODE.search(str(error))
    return int(found.group(1)) if found else None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
