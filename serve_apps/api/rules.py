"""Which role each route asks for. A route that has no entry is for admins only, and fails the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thornback.access.roles import Role
from thornback.access.scopes import Scope

_JOBS = "/api/v1/training/jobs"
_SETS = "/api/v1/image-sets"
_SWEEPS = "/api/v1/sweeps"
_INBOX = "/api/v1/webhooks/deliveries"
_OUT = "/api/v1/webhooks"
_MODEL = "/api/v1/models/{model}"
_UPLOAD = "/api/v1/uploads/{upload_id}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may."""

    role: Role | None  # None: everybody, signed in or not
    job: str | None = None  # the parameter that names a job, which the caller has to see (see access.sight)
    changes: bool = False  # of that job; for its owner, trainers of its team and admins only
    takes_ticket: bool = False  # a stream, or what a page that is embedded elsewhere reads


OPEN = Rule(None)  # proves by itself who asks (a signature), or tells nothing
READ = Rule(Role.VIEWER)
WATCH = Rule(Role.VIEWER, takes_ticket=True)
TRAIN = Rule(Role.TRAINER)
ADMIN = Rule(Role.ADMIN)


_SEE_JOB, _SEE_SET = Rule(Role.VIEWER, job="job_id"), Rule(Role.VIEWER, job="set_id")
_WATCH_JOB = Rule(Role.VIEWER, job="job_id", takes_ticket=True)
_USE_JOB = Rule(Role.TRAINER, job="job_id")  # it stays as it is
_OF_JOB, _OF_SET = Rule(Role.TRAINER, job="job_id", changes=True), Rule(Role.TRAINER, job="set_id", changes=True)

RULES: Mapping[tuple[str, str], Rule] = {
    # health, and who asks
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/api/v1/health"): READ,
    ("GET", "/api/v1/session"): OPEN,
    ("POST", "/api/v1/session"): OPEN,
    ("DELETE", "/api/v1/session"): OPEN,
    ("POST", "/api/v1/session/openid"): OPEN,
    ("GET", "/api/v1/session/openid/callback"): OPEN,
    ("POST", "/api/v1/tickets"): READ,
    ("GET", "/api/v1/users"): ADMIN,
    ("POST", "/api/v1/users"): ADMIN,
    ("PATCH", "/api/v1/users/{name}"): ADMIN,
    ("GET", "/api/v1/keys"): READ,
    ("POST", "/api/v1/keys"): READ,
    ("DELETE", "/api/v1/keys/{key_id}"): READ,
    ("GET", "/api/v1/teams"): READ,
    ("POST", "/api/v1/teams"): ADMIN,
    ("DELETE", "/api/v1/teams/{team}"): ADMIN,
    ("PUT", "/api/v1/teams/{team}/members/{name}"): ADMIN,
    ("DELETE", "/api/v1/teams/{team}/members/{name}"): ADMIN,
    ("GET", "/api/v1/audit"): ADMIN,
    ("GET", "/api/v1/audit.jsonl"): ADMIN,
    ("GET", "/api/v1/audit/verify"): ADMIN,
    # providers reach us
    ("POST", "/api/v1/webhooks/replicate"): OPEN,
    ("POST", "/api/v1/webhooks/fal"): OPEN,
    ("POST", "/api/webhooks/replicate"): OPEN,
    ("POST", "/api/webhooks/fal"): OPEN,
    ("GET", _INBOX): ADMIN,
    ("GET", f"{_INBOX}/{{delivery_id}}"): ADMIN,
    ("DELETE", f"{_INBOX}/{{delivery_id}}"): ADMIN,
    ("POST", f"{_INBOX}/{{delivery_id}}/replay"): ADMIN,
    # whom we tell; of each webhook, whether it is the caller's
    ("GET", _OUT): READ,
    ("POST", _OUT): TRAIN,
    ("GET", f"{_OUT}/{{webhook_id}}"): READ,
    ("PATCH", f"{_OUT}/{{webhook_id}}"): TRAIN,
    ("DELETE", f"{_OUT}/{{webhook_id}}"): TRAIN,
    ("POST", f"{_OUT}/{{webhook_id}}/test"): TRAIN,
    ("POST", f"{_OUT}/{{webhook_id}}/rotate"): TRAIN,
    ("GET", f"{_OUT}/{{webhook_id}}/messages"): READ,
    ("GET", f"{_OUT}/{{webhook_id}}/messages/{{message_id}}"): READ,
    ("POST", f"{_OUT}/{{webhook_id}}/messages/{{message_id}}/replay"): TRAIN,
    ("POST", f"{_OUT}/{{webhook_id}}/replay"): TRAIN,
    # jobs
    ("GET", "/api/v1/kinds"): OPEN,  # a visitor fills in the form, then signs in and starts
    ("POST", "/api/v1/training/estimate"): READ,
    ("GET", _JOBS): READ,
    ("POST", _JOBS): TRAIN,
    ("POST", f"{_JOBS}/cancel"): TRAIN,  # of each job, whether it is the caller's
    ("POST", f"{_JOBS}/delete"): TRAIN,
    ("GET", f"{_JOBS}/{{job_id}}"): _WATCH_JOB,
    ("DELETE", f"{_JOBS}/{{job_id}}"): _OF_JOB,
    ("PATCH", f"{_JOBS}/{{job_id}}"): _OF_JOB,
    ("POST", f"{_JOBS}/{{job_id}}/cancel"): _OF_JOB,
    ("POST", f"{_JOBS}/{{job_id}}/retry"): _USE_JOB,
    ("POST", f"{_JOBS}/{{job_id}}/save"): _OF_JOB,
    ("POST", f"{_JOBS}/{{job_id}}/sample"): _OF_JOB,
    ("POST", f"{_JOBS}/{{job_id}}/finish"): _OF_JOB,
    ("POST", f"{_JOBS}/{{job_id}}/sync"): _USE_JOB,
    ("POST", f"{_JOBS}/{{job_id}}/approve"): _OF_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/items"): _WATCH_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/metrics"): _WATCH_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/progress"): _WATCH_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/logs"): _WATCH_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/logs/lines"): _WATCH_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/logs/search"): _WATCH_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/artifacts"): _SEE_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/artifacts/{{name:path}}"): _SEE_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/events"): _WATCH_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/dataset"): _SEE_JOB,
    ("PATCH", f"{_JOBS}/{{job_id}}/dataset"): _OF_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/dataset/dataset.zip"): _SEE_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/dataset/frames/{{frame_id}}/image"): _SEE_JOB,
    ("GET", f"{_JOBS}/{{job_id}}/dataset/frames/{{frame_id}}/thumbnail"): _SEE_JOB,
    ("GET", "/api/v1/training/events"): WATCH,
    ("WS", "/training/{job_id}"): _WATCH_JOB,  # where the sockets are an application of their own
    ("WS", "/ws/training/{job_id}"): _WATCH_JOB,
    ("POST", "/api/v1/training/import"): TRAIN,
    # the queue
    ("GET", "/api/v1/queue"): READ,
    ("POST", "/api/v1/queue/pause"): ADMIN,
    ("POST", "/api/v1/queue/resume"): ADMIN,
    ("POST", "/api/v1/queue/move"): ADMIN,
    # the paths of older front ends
    ("GET", "/api/replicate/training-logs/{id}"): READ,
    ("POST", "/api/replicate/sync-completed"): TRAIN,
    ("GET", "/api/modal/model-status/{id}"): READ,
    ("POST", "/api/lora/train"): TRAIN,
    ("GET", "/api/lora/status/{job_id}"): _SEE_JOB,
    # image sets
    ("GET", _SETS): READ,
    ("POST", _SETS): TRAIN,
    ("GET", f"{_SETS}/{{set_id}}"): _SEE_SET,
    ("POST", f"{_SETS}/{{set_id}}/cancel"): _OF_SET,
    ("GET", f"{_SETS}/{{set_id}}/images.zip"): _SEE_SET,
    ("GET", f"{_SETS}/{{set_id}}/images/{{number}}"): _SEE_SET,
    # sweeps
    ("GET", f"{_SWEEPS}/{{job_id}}"): _WATCH_JOB,
    ("GET", f"{_SWEEPS}/{{job_id}}/curves"): _WATCH_JOB,
    ("POST", f"{_SWEEPS}/{{job_id}}/publish"): _USE_JOB,
    # files
    ("GET", "/api/v1/files/{key:path}"): OPEN,  # the link is signed
    ("POST", "/api/v1/datasets"): TRAIN,
    ("OPTIONS", "/api/v1/uploads"): OPEN,
    ("POST", "/api/v1/uploads"): TRAIN,
    ("GET", _UPLOAD): TRAIN,
    ("HEAD", _UPLOAD): TRAIN,
    ("PATCH", _UPLOAD): TRAIN,
    ("POST", _UPLOAD): TRAIN,  # PATCH or DELETE, for networks that let neither through
    ("DELETE", _UPLOAD): TRAIN,
    # models; whose they are, their routes check
    ("GET", "/api/v1/models"): READ,
    ("GET", _MODEL): READ,
    ("GET", f"{_MODEL}/compare"): READ,
    ("GET", f"{_MODEL}/versions"): READ,
    ("POST", f"{_MODEL}/versions"): TRAIN,
    ("GET", f"{_MODEL}/versions/{{version}}"): READ,
    ("PATCH", f"{_MODEL}/versions/{{version}}"): TRAIN,
    ("DELETE", f"{_MODEL}/versions/{{version}}"): TRAIN,
    ("GET", f"{_MODEL}/versions/{{version}}/model.safetensors"): READ,
    ("GET", f"{_MODEL}/versions/{{version}}/model.onnx"): READ,
    ("GET", f"{_MODEL}/versions/{{version}}/lineage"): READ,
    ("PUT", f"{_MODEL}/aliases/{{alias}}"): TRAIN,
    ("DELETE", f"{_MODEL}/aliases/{{alias}}"): TRAIN,
    # providers and reports
    ("GET", "/api/v1/providers"): READ,
    ("GET", "/api/v1/providers/{name}/catalogue"): READ,
    ("GET", "/api/v1/reports"): READ,
    ("GET", "/api/v1/reports/trigger-words"): READ,
    ("GET", "/api/v1/reports/durations"): READ,
    ("GET", "/api/v1/reports/steps"): READ,
    ("GET", "/api/v1/reports/captioning"): READ,
    ("GET", "/api/v1/reports/dataset-sizes"): READ,
    ("GET", "/api/v1/reports/dataset-sizes/trainings"): READ,
    ("GET", "/api/v1/reports/failures"): READ,
    ("GET", "/api/v1/reports/costs"): READ,
    ("GET", "/api/v1/reports/usage"): READ,
    ("GET", "/api/v1/reports/spend"): READ,  # of what the caller sees
    ("GET", "/api/v1/reports/ledger"): READ,
    ("GET", "/api/v1/alerts"): READ,
    # quotas
    ("GET", "/api/v1/quotas"): ADMIN,
    ("GET", "/api/v1/quotas/mine"): READ,
    ("GET", "/api/v1/quotas/{kind}/{name}"): ADMIN,
    ("PUT", "/api/v1/quotas/{kind}/{name}"): ADMIN,
    ("DELETE", "/api/v1/quotas/{kind}/{name}"): ADMIN,
    # the storage
    ("GET", "/api/v1/storage"): ADMIN,
    ("POST", "/api/v1/storage/measure"): ADMIN,
    ("POST", "/api/v1/storage/sweep"): ADMIN,
}


# Whose scopes a route asks of a key that has some; the longest beginning counts.
_AREAS: Mapping[str, str] = {
    "/api/v1/training": "jobs",
    "/api/v1/kinds": "jobs",
    "/api/v1/queue": "jobs",
    "/api/v1/sweeps": "jobs",
    "/api/v1/tickets": "jobs",
    "/training": "jobs",
    "/ws": "jobs",
    "/api/replicate": "jobs",
    "/api/modal": "jobs",
    "/api/lora": "jobs",
    "/api/v1/image-sets": "data",
    "/api/v1/datasets": "data",
    "/api/v1/uploads": "data",
    "/api/v1/models": "models",
    _OUT: "webhooks",
    "/api/v1/reports": "reports",
    "/api/v1/alerts": "reports",
    "/api/v1/quotas": "reports",
    "/api/v1/providers": "reports",
    "/api/v1/health": "reports",
    "/metrics": "reports",
}


def scope_of(path: str, rule: Rule) -> Scope | None:
    """What a key with scopes needs for a route; None: nothing, or, of keys and teams, only a key without scopes."""
    if rule.role is Role.ADMIN:
        return Scope.ADMIN
    found = max((prefix for prefix in _AREAS if f"{path}/".startswith(f"{prefix}/")), key=len, default=None)
    if rule.role is None or found is None:
        return None
    action = "read" if rule.role is Role.VIEWER or _AREAS[found] == "reports" else "write"
    return Scope(f"{_AREAS[found]}:{action}")


def rule_of(method: str, path: str) -> Rule:
    """The rule of a route as the application has it."""
    return RULES.get((method, path), ADMIN)
