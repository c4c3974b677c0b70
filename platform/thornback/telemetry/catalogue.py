"""Every metric of the platform. The table of cluster/RUNBOOK.md, the dashboard and the rules are checked against it.

Prometheus has them as `ray_thornback_…`. Sums of histograms are estimated from the middles of their buckets by Ray's
exporter: use quantiles; where a mean matters there are two counters.
"""

from __future__ import annotations

from thornback.telemetry.metric import Kind, Metric

_CALL_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_COMMIT_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_WAIT_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)


def _counter(name: str, text: str, *tags: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, text=text, tags=tags)


def _gauge(name: str, text: str, *tags: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, text=text, tags=tags)


def _histogram(name: str, text: str, *tags: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, text=text, tags=tags, buckets=buckets)


# Every process of the platform. Ray goes on telling what a process said last after it has ended, so gauges count only
# together with a fresh value of this one: see cluster/monitoring/recording.rules.yml.
PROCESS_SEEN = _gauge("thornback_process_seen_timestamp_seconds", "When it was last alive, in Unix time", "component")

# The whole: told by the dispatcher, which asks every part
COMPONENT_UP = _gauge("thornback_component_up", "1 where a part answers that it works, else 0", "component")
DISK_FREE = _gauge("thornback_disk_free_bytes", "Free on the disk of the platform's home")
LAST_LOOK = _gauge("thornback_dispatch_last_look_timestamp_seconds", "When the dispatcher last looked, in Unix time")

# Queue and launches: the dispatcher
QUEUE_JOBS = _gauge("thornback_queue_jobs", "Jobs that wait for a place", "backend")
QUEUE_OLDEST = _gauge("thornback_queue_oldest_seconds", "How long the oldest of them has waited", "backend")
QUEUE_PAUSED = _gauge("thornback_queue_paused", "1 where an admin holds the queue")
RUNNING_JOBS = _gauge("thornback_running_jobs", "Jobs that are launched and have not ended", "backend")
QUEUE_WAIT = _histogram(
    "thornback_queue_wait_seconds", "From a job's creation to its first launch", "kind", "backend", buckets=_WAIT_S
)
START = _histogram(
    "thornback_start_seconds", "From a job's creation to the first word of its run", "kind", "backend", buckets=_WAIT_S
)
LOOK = _histogram("thornback_dispatch_look_seconds", "One look of the dispatcher at everything", buckets=_CALL_S)
DISPATCH_FAULTS = _counter("thornback_dispatch_faults_total", "Looks and steps of the dispatcher that failed")
CPUS = _gauge("thornback_cpus", "CPU cores of the cluster, and those that no job holds", "state")
GPUS = _gauge("thornback_gpus", "GPUs of the cluster, and those that no job holds", "state")

# Jobs: the recorder
JOBS_ENDED = _counter(
    "thornback_jobs_ended_total", "Jobs by how they ended; reason: none, or why", "kind", "backend", "status", "reason"
)

# The recorder
EVENTS = _counter("thornback_events_total", "Events that were committed", "kind")
COMMIT = _histogram("thornback_commit_seconds", "One transaction of the recorder", buckets=_COMMIT_S)
COMMIT_EVENTS = _histogram(
    "thornback_commit_events", "Events of one transaction", buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
)
COMMIT_LAG = _histogram(
    "thornback_commit_lag_seconds", "From a call's arrival at the recorder to its commit", buckets=_COMMIT_S
)
COMMIT_WAITING = _gauge("thornback_commit_waiting_events", "Events that wait for a transaction")
COMMIT_FAULTS = _counter("thornback_commit_faults_total", "Transactions that the database did not take")

# Streams: each API replica
STREAMS = _gauge("thornback_stream_clients", "Live clients of a replica")
STREAM_LAG = _histogram(
    "thornback_stream_lag_seconds", "From an event's time to a replica that hands it out", buckets=_COMMIT_S
)
STREAMS_REFUSED = _counter("thornback_streams_refused_total", "Clients that were told to try again later")

# Training: each worker. Steps of all ranks wait for one another, so the slow one shows in `data`.
STEPS = _counter("thornback_steps_total", "Steps of a rank", "kind", "rank")
STEP_SECONDS = _counter(
    "thornback_step_seconds_total", "Time in these steps; part: data (waiting for it), work", "kind", "rank", "part"
)

# Providers: the tracker of each
PROVIDER_CALLS = _counter(
    "thornback_provider_calls_total",
    "Calls; outcome: ok, refused, unavailable, lost, unknown, error, held (by the breaker)",
    "provider",
    "call",
    "outcome",
)
PROVIDER_CALL = _histogram("thornback_provider_call_seconds", "One call", "provider", "call", buckets=_CALL_S)
BREAKER = _gauge("thornback_provider_breaker", "0 closed, 1 half-open, 2 open: it is left alone", "provider")
OPEN_ORDERS = _gauge("thornback_provider_open_orders", "Orders that have not ended", "provider")

# Webhooks
WEBHOOKS_IN = _counter(
    "thornback_webhooks_received_total",
    "Of providers; outcome: applied, repeat, dead, refused (no good signature), unavailable",
    "provider",
    "outcome",
)
WEBHOOKS_OUT = _counter(
    "thornback_webhooks_sent_total", "To others; outcome: delivered, again, dead", "target", "outcome"
)
WEBHOOK_SEND = _histogram("thornback_webhook_send_seconds", "One attempt", "target", buckets=_CALL_S)

# Money and storage
SPEND = _gauge("thornback_spend_usd", "Spent and set aside, in US dollars by UTC; period: day, month", "period")
QUOTA_SHARE = _gauge("thornback_quota_used_share", "The greatest share of a limit that anybody has used", "limit")
STORAGE_FAULTS = _counter(
    "thornback_storage_faults_total", "Calls to S3; reason: refused, no_credentials, no_answer", "reason"
)

CATALOGUE: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
