"""The API's calls as methods."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from thornback.client.access import Access
from thornback.client.audit import Audit
from thornback.client.download import fetch_file
from thornback.client.frame_sets import FrameSets
from thornback.client.image_sets import ImageSets
from thornback.client.model_versions import Models
from thornback.client.models import (
    Artifact,
    Dataset,
    Delivery,
    DeliveryPage,
    Event,
    Health,
    Item,
    Job,
    JobDetail,
    JobPage,
    LogLines,
    MetricRow,
    Receipt,
    Update,
    Upload,
)
from thornback.client.problems import error_of, unreachable
from thornback.client.queue import Queue
from thornback.client.quotas import Quotas
from thornback.client.reconnect import Backoff
from thornback.client.resumable import Sending
from thornback.client.stream import STATUS, ReconnectingStream
from thornback.client.sweeps import Sweeps
from thornback.client.upload import send_dataset
from thornback.client.watch import watch_job
from thornback.client.webhooks import Webhooks
from thornback.errors import ThornbackError
from thornback.jobs.wishes import Wish

JOBS = "/api/v1/training/jobs"
WEBHOOKS = "/api/v1/webhooks"
PAGE = 200


class JobTimeout(ThornbackError):
    """A job had not ended when the time for waiting was over."""

    code = "job_timeout"


class Client:
    """A synchronous client; one object may be shared by threads. Use it as a context manager or close it.

    Errors are those of `thornback.errors`, raised from the server's problem documents, and
    `ServerUnreachable` where there is no server. Single calls are not repeated; streams reconnect.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8001",
        *,
        timeout_s: float = 30.0,
        backoff: Backoff | None = None,
        transport: httpx2.BaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: where the API is, without a path.
            timeout_s: of one call.
            backoff: of streams.
            transport: for tests: `httpx2.MockTransport(handler)`.
            headers: sent along with every request.
            api_key: tbk_…, where the server asks who you are.
        """
        self.url = url.rstrip("/")
        self._backoff = backoff or Backoff()
        self._http = httpx2.Client(
            base_url=self.url,
            timeout=httpx2.Timeout(timeout_s, connect=5.0),
            transport=transport,
            headers={**({"Authorization": f"Bearer {api_key}"} if api_key else {}), **(headers or {})},
        )

        self.access = Access(self._call)
        self.audit = Audit(self._http, self._call)
        self.frame_sets = FrameSets(self._http, self._call)
        self.image_sets = ImageSets(self._http, self._call)
        self.models = Models(self._http, self._call)
        self.queue = Queue(self._call)
        self.sweeps = Sweeps(self._http, self._call)
        self.webhooks = Webhooks(self._call)
        self.quotas = Quotas(self._call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Jobs

    def submit(
        self,
        job_name: str,
        config: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Job:
        """Make a job.

        Args:
            job_name: what people call it.
            config: of its kind; what is left out has the server's defaults.
            idempotency_key: the same key makes the same job only once; by default a fresh one.
            fields: kind, priority, max_retries, tags, team.

        Raises:
            InvalidInput: `details["errors"]` names each field.
            IdempotencyConflict: the key came before with another body.
        """
        return self.submit_spec(
            {"job_name": job_name, "config": dict(config or {}), **fields}, idempotency_key=idempotency_key
        )

    def submit_spec(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Make a job from a whole specification, as it stands in a file."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return Job.model_validate(self._call("POST", JOBS, json=dict(spec), headers=headers))

    def get(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""
        return self.detail(job_id).job

    def detail(self, job_id: str) -> JobDetail:
        """One job with its last epochs and the cursor of its stream. Raises JobNotFound."""
        return JobDetail.model_validate(self._call("GET", f"{JOBS}/{job_id}"))

    def page(self, *, limit: int = 50, offset: int = 0, cursor: str | None = None, **filters: Any) -> JobPage:
        """Some jobs; filters are status (one or several), kind, name, user, team, parent, sort."""
        params = {"limit": limit, "offset": offset, "cursor": cursor, **filters}
        if cursor is not None:
            del params["offset"]
        return JobPage.model_validate(self._call("GET", JOBS, params=_present(params)))

    def list(self, *, limit: int | None = None, **filters: Any) -> Iterator[Job]:
        """All jobs, newest first unless `sort` says otherwise, fetched page by page as they are used."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            page = self.page(limit=PAGE if left is None else min(PAGE, left), cursor=cursor, **filters)
            yield from page.jobs
            left = None if left is None else left - len(page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                return

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; its checkpoint stays. Raises JobNotFound, JobIsFinal."""
        return Job.model_validate(self._call("POST", f"{JOBS}/{job_id}/cancel")["job"])

    def ask(self, job_id: str, wish: Wish) -> Job:
        """Ask a running LoRA training to save, to draw samples, or to end with its result kept, after its step.

        Raises JobNotFound, JobIsFinal, Conflict where it does not run yet or is of a kind that does not listen.
        """
        return Job.model_validate(self._call("POST", f"{JOBS}/{job_id}/{wish}")["job"])

    def save(self, job_id: str) -> Job:
        """Ask for a checkpoint and its LoRA file now; see `ask`."""
        return self.ask(job_id, Wish.SAVE)

    def sample(self, job_id: str) -> Job:
        """Ask for pictures now; see `ask`."""
        return self.ask(job_id, Wish.SAMPLE)

    def finish(self, job_id: str) -> Job:
        """Ask it to end now and to publish what it has; see `ask`."""
        return self.ask(job_id, Wish.FINISH)

    def retry(self, job_id: str, *, from_checkpoint: bool = True) -> Job:
        """Make a new job like one that ended; it goes on from the last checkpoint unless told otherwise.

        Raises JobNotFound, JobIsActive.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        body = {"from_checkpoint": from_checkpoint}
        return Job.model_validate(self._call("POST", f"{JOBS}/{job_id}/retry", headers=headers, json=body))

    def delete(self, job_id: str) -> bool:
        """Cancel a job where it runs, and remove its rows and files. Raises JobNotFound.

        Returns:
            True where all is gone, False where its workers are still ending and the rest follows by itself.
        """
        return self._call("DELETE", f"{JOBS}/{job_id}") is None

    # What a job measured, printed and made

    def metrics(self, job_id: str, *, limit: int = 1000, level: str = "epoch") -> Sequence[MetricRow]:
        """The newest rows in ascending order; `level` is epoch, step or all."""
        answer = self._call("GET", f"{JOBS}/{job_id}/metrics", params={"limit": limit, "level": level})
        return [MetricRow.model_validate(row) for row in answer["metrics"]]

    def logs(self, job_id: str, *, tail: int | None = None, follow: bool = False) -> Iterator[LogLines]:
        """What the job printed, all of it or the last `tail` lines; with `follow` also what comes until it ends."""
        first = {} if tail is None else {"tail": str(tail)}
        params = {"follow": "true"} if follow else {}
        for message in self._messages(f"{JOBS}/{job_id}/logs", params=params, first_params=first):
            yield LogLines.model_validate_json(message.data)

    def artifacts(self, job_id: str) -> Sequence[Artifact]:
        """What the job has made so far."""
        answer = self._call("GET", f"{JOBS}/{job_id}/artifacts")
        return [Artifact.model_validate(item) for item in answer["artifacts"]]

    def download(self, job_id: str, name: str, target: Path) -> Path:
        """Fetch an artifact into a file or a folder; complete and with its checksum right, or not at all.

        Raises:
            NotFound: the job has no artifact of this name.
            DownloadCorrupt: what arrived is not what the job wrote.
        """
        known = {artifact.name: artifact for artifact in self.artifacts(job_id)}
        return fetch_file(self._http, f"{JOBS}/{job_id}/artifacts/{name}", target, artifact=known.get(name), name=name)

    def items(self, job_id: str) -> Sequence[Item]:
        """What the job ordered at its provider, by number. Raises JobNotFound."""
        return [Item.model_validate(item) for item in self._call("GET", f"{JOBS}/{job_id}/items")["items"]]

    def send_dataset(self, path: Path) -> Dataset:
        """Send a ZIP of pictures with same-name .txt captions; its `uri` can be the `dataset` of a training.

        Raises:
            DataError: it cannot be trained on; the message names what is wrong.
        """
        return send_dataset(self._call, path)

    def upload(
        self,
        path: Path,
        *,
        upload_id: str | None = None,
        on_begun: Callable[[str], None] = lambda _id: None,
        on_progress: Callable[[int, int], None] = lambda _sent, _total: None,
        on_lost: Callable[[ThornbackError, float], None] = lambda _error, _delay: None,
    ) -> Upload:
        """Send a ZIP of pictures or a video in parts; goes on by itself after a lost connection or a dead server.

        Args:
            path: the file.
            upload_id: one that was begun before with the very same file; what is there already is not sent again.
            on_begun: is told the id, to go on with after this process has ended.
            on_progress: is told how many bytes are there, and how many there are.
            on_lost: is told when the server is lost and in how many seconds it is tried again.

        Raises:
            DataError: it is of no use; the message names what is wrong.
            ServerUnreachable: nothing of it arrived for `give_up_after_s` of the client's `backoff`.
            UploadGone, NotFound: the one to go on with was removed; begin anew.
        """
        sending = Sending(self._call, path, self._backoff, on_progress=on_progress, on_lost=on_lost)
        return sending.run(upload_id, on_begun)

    # Streams

    def events(
        self,
        job_id: str | None = None,
        *,
        after: int | None = None,
        on_lost: Callable[[ThornbackError, float], None] = lambda _error, _delay: None,
    ) -> Iterator[Event]:
        """Everything that happens to a job (until it ends) or to all jobs (without end).

        Args:
            job_id: None for all jobs.
            after: the id of the last event seen; 0 from the beginning; None: the server's default.
            on_lost: is told when the connection is lost and in how many seconds it is tried again.
        """
        path = "/api/v1/training/events" if job_id is None else f"{JOBS}/{job_id}/events"
        for message in self._messages(path, after=after, on_lost=on_lost):
            if message.event != STATUS:
                yield Event.model_validate_json(message.data)

    def watch(
        self,
        job_id: str,
        *,
        start: JobDetail | None = None,
        on_lost: Callable[[ThornbackError, float], None] = lambda _error, _delay: None,
    ) -> Iterator[Update]:
        """A job from now until it ends; survives a restart of the server.

        Args:
            job_id: the job.
            start: where to go on from, as `detail` gave it; by default the present state.
            on_lost: as in `events`.

        Raises:
            JobNotFound: it is not there, or was deleted meanwhile.
        """
        start = start or self.detail(job_id)
        messages = self._messages(f"{JOBS}/{job_id}/events", after=start.last_event_id, on_lost=on_lost)
        return watch_job(self, start, messages)

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """Wait until a job has ended, however it did.

        Raises:
            JobTimeout: it has not ended in time; it runs on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        delays = Backoff(first_s=0.2, longest_s=2.0)
        for attempt in itertools.count():
            job = self.get(job_id)
            if job.is_final:
                return job
            delay = delays.delay(attempt)
            if deadline is not None and time.monotonic() + delay > deadline:
                raise JobTimeout(f"job {job_id} is still {job.status} after {timeout_s} s", job_id=job_id)
            time.sleep(delay)
        raise AssertionError("unreachable")

    def _messages(
        self,
        path: str,
        *,
        after: int | None = None,
        first_params: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        on_lost: Callable[[ThornbackError, float], None] = lambda _error, _delay: None,
    ) -> Iterator[httpx2.ServerSentEvent]:
        return iter(
            ReconnectingStream(
                http=self._http,
                path=path,
                params=params or {},
                first_params=first_params or {},
                last_id=after,
                backoff=self._backoff,
                on_lost=on_lost,
            )
        )

    # Reports

    def report(self, *, since: datetime | None = None, until: datetime | None = None) -> Mapping[str, Any]:
        """What was trained between two times: trigger words, durations, success, failures, cost."""
        bounds = {"since": since and since.isoformat(), "until": until and until.isoformat()}
        answer: Mapping[str, Any] = self._call("GET", "/api/v1/reports", params=_present(bounds))
        return answer

    # Webhooks of providers

    def deliveries(
        self, *, state: str | None = None, provider: str | None = None, job: str | None = None, limit: int | None = None
    ) -> Iterator[Delivery]:
        """What came in, the newest first, without bodies; `state` is applied or dead."""
        filters = _present({"state": state, "provider": provider, "job": job})
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            params = {**filters, **_present({"cursor": cursor}), "limit": PAGE if left is None else min(PAGE, left)}
            page = DeliveryPage.model_validate(self._call("GET", f"{WEBHOOKS}/deliveries", params=params))
            yield from page.deliveries
            left = None if left is None else left - len(page.deliveries)
            cursor = page.next_cursor
            if cursor is None:
                return

    def delivery(self, delivery_id: int) -> Delivery:
        """One with its body. Raises NotFound."""
        return Delivery.model_validate(self._call("GET", f"{WEBHOOKS}/deliveries/{delivery_id}"))

    def replay_delivery(self, delivery_id: int) -> Receipt:
        """Have it interpreted again with what is known now. Raises NotFound."""
        return Receipt.model_validate(self._call("POST", f"{WEBHOOKS}/deliveries/{delivery_id}/replay"))

    def discard_delivery(self, delivery_id: int) -> None:
        """Forget a dead letter. Raises NotFound, and Conflict for one that was used."""
        self._call("DELETE", f"{WEBHOOKS}/deliveries/{delivery_id}")

    def send_webhook(
        self, provider: str, body: bytes, *, headers: Mapping[str, str], params: Mapping[str, str] | None = None
    ) -> Receipt:
        """Send a signed webhook as a provider would. Raises SignatureInvalid."""
        headers = {"content-type": "application/json", **headers}
        path = f"{WEBHOOKS}/{provider}"
        return Receipt.model_validate(self._call("POST", path, content=body, headers=headers, params=params or {}))

    # The server

    def health(self) -> Health:
        """Is everything there that the API needs? Raises ServerUnreachable, nothing else."""
        try:
            response = self._http.get("/readyz")
        except httpx2.TransportError as error:
            raise unreachable(error, self.url) from error
        body = response.json() if "json" in response.headers.get("content-type", "") else {}
        return Health.model_validate({**body, "ready": response.is_success})

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx2.TransportError as error:
            raise unreachable(error, self.url) from error
        if not response.is_success:
            raise error_of(response)
        return response.json() if response.content else None


def _present(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
