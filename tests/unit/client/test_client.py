"""Each call asks what the API expects and reads what it answers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx2
import pytest

from tests.unit.client.server import JOB_ID, Script, event, job, problem, sse
from thornback.client import DownloadCorrupt, JobTimeout
from thornback.errors import JobIsFinal, JobNotFound, NotFound
from thornback.jobs.status import JobStatus

JOBS = "/api/v1/training/jobs"
ONE = f"{JOBS}/{JOB_ID}"


def ok(body: object, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def test_submit_sends_the_specification_and_a_key_of_its_own() -> None:
    script = Script().on(f"POST {JOBS}", ok(job(status="queued"), 201))
    with script.client() as client:
        made = client.submit("A job", {"epochs": 3}, priority=5)
        client.submit("A job", {"epochs": 3})
    assert made.id == JOB_ID
    assert made.status is JobStatus.QUEUED
    first, second = script.requests
    assert json.loads(first.content) == {"job_name": "A job", "config": {"epochs": 3}, "priority": 5}
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_submit_keeps_the_callers_key() -> None:
    script = Script().on(f"POST {JOBS}", ok(job(status="queued"), 201))
    with script.client() as client:
        client.submit("A job", idempotency_key="mine")
    assert script.requests[0].headers["idempotency-key"] == "mine"


def test_members_of_a_newer_server_are_kept() -> None:
    script = Script().on(f"GET {ONE}", ok({"job": job(shiny=1), "recent_metrics": [], "last_event_id": 7, "more": 2}))
    with script.client() as client:
        detail = client.detail(JOB_ID)
    assert detail.last_event_id == 7
    assert detail.job.model_extra == {"shiny": 1}


def test_list_follows_cursors_to_the_end() -> None:
    pages = {
        None: {"jobs": [job(), job()], "total": 3, "next_cursor": "c1"},
        "c1": {"jobs": [job()], "total": 3, "next_cursor": None},
    }
    script = Script().on(f"GET {JOBS}", lambda request: ok(pages[request.url.params.get("cursor")]))
    with script.client() as client:
        assert len(list(client.list(status=["running", "queued"], name=None))) == 3
    first, second = (request.url.params for request in script.requests)
    assert first.get_list("status") == ["running", "queued"]
    assert "name" not in first
    assert "offset" not in second


def test_list_stops_at_its_limit_without_another_page() -> None:
    script = Script().on(f"GET {JOBS}", ok({"jobs": [job(), job()], "total": 9, "next_cursor": "c1"}))
    with script.client() as client:
        assert len(list(client.list(limit=2))) == 2
    assert len(script.requests) == 1


def test_cancel_retry_delete() -> None:
    script = Script()
    script.on(f"POST {ONE}/cancel", ok({"job": job(cancel_requested=True)}, 202))
    script.on(f"POST {ONE}/retry", ok(job(status="queued", retry_of=JOB_ID), 201))
    script.on(f"DELETE {ONE}", ok({"id": JOB_ID, "status": "deleting"}, 202), httpx2.Response(204))
    with script.client() as client:
        assert client.cancel(JOB_ID).cancel_requested
        assert client.retry(JOB_ID, from_checkpoint=False).retry_of == JOB_ID
        assert client.delete(JOB_ID) is False
        assert client.delete(JOB_ID) is True
    assert json.loads(script.asked(f"POST {ONE}/retry")[0].content) == {"from_checkpoint": False}


def test_wishes_of_a_running_job() -> None:
    script = Script()
    for wish in ("save", "sample", "finish"):
        script.on(f"POST {ONE}/{wish}", ok({"job": job(asked={wish: "2026-03-01T12:00:00Z"})}, 202))
    with script.client() as client:
        answers = [client.save(JOB_ID), client.sample(JOB_ID), client.finish(JOB_ID)]
    assert [list(answer.asked) for answer in answers] == [["save"], ["sample"], ["finish"]]


def test_cancel_of_a_job_that_ended() -> None:
    script = Script().on(f"POST {ONE}/cancel", problem(409, "job_is_final"))
    with script.client() as client, pytest.raises(JobIsFinal):
        client.cancel(JOB_ID)


def test_metrics() -> None:
    rows = [{"epoch": 1, "val_loss": 0.5, "extra": {"macro_f1": 0.7}}, {"epoch": 2, "val_loss": None}]
    script = Script().on(f"GET {ONE}/metrics", ok({"job_id": JOB_ID, "metrics": rows}))
    with script.client() as client:
        first, second = client.metrics(JOB_ID, limit=2, level="all")
    assert (first.val_loss, first.extra["macro_f1"], second.val_loss) == (0.5, 0.7, None)
    assert dict(script.requests[0].url.params) == {"limit": "2", "level": "all"}


def test_health_tells_both_ways() -> None:
    script = Script().on("GET /readyz", ok({"status": "ok"}), ok({"status": "unavailable"}, 503))
    with script.client() as client:
        assert client.health().ready
        assert not client.health().ready


def test_wait_returns_the_end_and_times_out() -> None:
    script = Script().on(f"GET {ONE}", ok({"job": job()}), ok({"job": job(status="failed")}))
    with script.client() as client:
        assert client.wait(JOB_ID, timeout_s=30).status is JobStatus.FAILED
        script.on(f"GET {ONE}", ok({"job": job()}))
        with pytest.raises(JobTimeout, match="running"):
            client.wait(JOB_ID, timeout_s=0)


def artifacts(content: bytes, **fields: object) -> httpx2.Response:
    item = {"name": "model/m.onnx", "type": "onnx", "uri": "/runs/m.onnx", "size_bytes": len(content)}
    return ok({"artifacts": [{**item, "sha256": hashlib.sha256(content).hexdigest(), **fields}]})


def test_download_checks_and_lands_in_the_folder(tmp_path: Path) -> None:
    script = Script().on(f"GET {ONE}/artifacts", artifacts(b"abc"))
    script.on(f"GET {ONE}/artifacts/model/m.onnx", httpx2.Response(200, content=b"abc"))
    with script.client() as client:
        file = client.download(JOB_ID, "model/m.onnx", tmp_path)
    assert file == tmp_path / "m.onnx"
    assert file.read_bytes() == b"abc"


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size_bytes": 4}])
def test_download_of_other_bytes_leaves_nothing(tmp_path: Path, wrong: dict[str, object]) -> None:
    script = Script().on(f"GET {ONE}/artifacts", artifacts(b"abc", **wrong))
    script.on(f"GET {ONE}/artifacts/model/m.onnx", httpx2.Response(200, content=b"abc"))
    (tmp_path / "m.onnx").write_bytes(b"the old one")
    with script.client() as client, pytest.raises(DownloadCorrupt):
        client.download(JOB_ID, "model/m.onnx", tmp_path / "m.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == b"the old one"


def test_download_of_nothing(tmp_path: Path) -> None:
    script = Script().on(f"GET {ONE}/artifacts", ok({"artifacts": []}))
    script.on(f"GET {ONE}/artifacts/x", problem(404, "not_found"))
    with script.client() as client, pytest.raises(NotFound):
        client.download(JOB_ID, "x", tmp_path)
    assert list(tmp_path.iterdir()) == []


def status(**fields: object) -> str:
    body = {"event": "training_status", "job_id": JOB_ID, "status": "running", **fields}
    return f"event: training_status\ndata: {json.dumps(body)}\n\n"


END = "event: end\ndata: {}\n\n"


def test_watch_begins_with_the_present_and_ends_with_the_whole_job() -> None:
    script = Script().on(
        f"GET {ONE}",
        ok({"job": job(progress_percent=10, facts={}), "last_event_id": 5}),
        ok({"job": job(status="completed", progress_percent=100, facts={"val_accuracy": 0.9})}),
    )
    news = status(progress_percent=50, metrics={"val_loss": 0.25}, eta_at="2026-01-01T00:00:00Z")
    script.on(f"GET {ONE}/events", sse(event(6, "log", lines=["x"]), news, event(7, "succeeded"), END))
    with script.client() as client:
        updates = list(client.watch(JOB_ID))
    assert [(update.event and update.event.kind.value, update.job.progress_percent) for update in updates] == [
        (None, 10),
        ("log", 10),
        (None, 50),
        ("succeeded", 50),
        (None, 100),
    ]
    assert updates[2].job.val_loss == 0.25
    assert updates[2].job.job_name == "A job"
    assert updates[-1].job.facts == {"val_accuracy": 0.9}
    assert script.asked(f"GET {ONE}/events")[0].headers["last-event-id"] == "5"


def test_watch_of_a_job_that_ended_opens_no_stream() -> None:
    script = Script().on(f"GET {ONE}", ok({"job": job(status="completed")}))
    with script.client() as client:
        [update] = client.watch(JOB_ID)
    assert update.job.is_final


def test_watch_of_a_job_that_is_deleted_meanwhile() -> None:
    script = Script().on(f"GET {ONE}", ok({"job": job()}))
    script.on(f"GET {ONE}/events", sse(event(1, "deleted"), END))
    with script.client() as client, pytest.raises(JobNotFound):
        list(client.watch(JOB_ID))


def log(number: int, *lines: str) -> str:
    body = {"job_id": JOB_ID, "event_id": number, "rank": 0, "attempt": 1, "lines": list(lines)}
    return f"id: {number}\nevent: log\ndata: {json.dumps(body)}\n\n"


def test_logs_ask_for_the_tail_only_once() -> None:
    """After a cut the lines since the last one are wanted, all of them."""
    script = Script().on(f"GET {ONE}/logs", sse(log(3, "a", "b"), cut=True), sse(log(4, "c"), END))
    with script.client() as client:
        assert [chunk.lines for chunk in client.logs(JOB_ID, tail=2, follow=True)] == [["a", "b"], ["c"]]
    first, second = script.asked(f"GET {ONE}/logs")
    assert dict(first.url.params) == {"follow": "true", "tail": "2"}
    assert dict(second.url.params) == {"follow": "true"}
    assert second.headers["last-event-id"] == "3"
