"""Creating, listing, looking at, cancelling, deleting and repeating jobs."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx2
import pytest

from serve_apps.api.examples import CREATE_EXAMPLES
from serve_apps.api.routes import jobs
from tests.fixtures.api import JOBS, ApiPlatform, Reports, eventually
from thornback.jobs.status import JobStatus

SOURCE_EXAMPLE = {
    "job_name": "My Training Job",
    "config": {"epochs": 100, "batch_size": 32, "learning_rate": 0.001, "model_architecture": "convnext_large"},
}


async def test_the_example_of_the_documentation_works(api: ApiPlatform) -> None:
    async with api.client() as client:
        answer = await client.post(JOBS, json=SOURCE_EXAMPLE)
    assert answer.status_code == 201
    body = answer.json()
    assert uuid.UUID(body["id"])
    assert (body["job_name"], body["status"], body["total_epochs"]) == ("My Training Job", "queued", 100)
    assert body["submission_id"] == body["celery_task_id"] == f"thornback-{body['id']}"
    assert body["created_at"].endswith("Z")
    assert body["config"] | SOURCE_EXAMPLE["config"] == body["config"]
    assert body["config"]["warmup_epochs"] == 5
    assert answer.headers["location"] == f"{JOBS}/{body['id']}"
    assert api.reader.job(body["id"]).state.status is JobStatus.QUEUED


@pytest.mark.parametrize("example", CREATE_EXAMPLES.values(), ids=CREATE_EXAMPLES.keys())
async def test_every_example_of_the_openapi_document_works(api: ApiPlatform, example: dict[str, Any]) -> None:
    async with api.client() as client:
        answer = await client.post(JOBS, json=example["value"])
        stored = (await client.get(answer.headers["location"])).json()["job"]
    assert answer.status_code == 201
    for name, value in example["value"]["config"].items():
        assert stored["config"][name] == value
    assert stored["tags"] == example["value"].get("tags", {})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"job_name": "x", "config": {"epochs": 0}}, "config.epochs"),
        ({"job_name": "x", "config": {"batch_size": 513}}, "config.batch_size"),
        ({"job_name": "x", "config": {"dropout_rate": 0.95}}, "config.dropout_rate"),
        ({"job_name": "x", "config": {"model_architecture": "resnet"}}, "config.model_architecture"),
        ({"job_name": "x", "config": {"epoch": 3}}, "config.epoch"),
        ({"job_name": "", "config": {}}, "job_name"),
        ({"job_name": "x" * 256}, "job_name"),
        ({"config": {}}, "job_name"),
        ({"job_name": "x", "kind": "quantum"}, "kind"),
        ({"job_name": "x", "kind": ["lora"]}, "kind"),
        ({"job_name": "x", "kind": "lora", "backend": "modal", "config": {}}, "backend"),
        ({"job_name": "x", "kind": "lora", "config": {"base_model": "m", "dataset": "d", "steps": 0}}, "config.steps"),
        (
            {"job_name": "x", "kind": "lora", "backend": "fal", "config": {"dataset": "d", "steps": 0}},
            "config.steps",
        ),
        ({"job_name": "x", "colour": "red"}, "colour"),
        ({"job_name": "x", "priority": 101}, "priority"),
        ([], "body"),
        ("x", "body"),
    ],
)
async def test_what_cannot_be_used_is_refused_by_field(api: ApiPlatform, body: Any, field: str) -> None:
    async with api.client() as client:
        answer = await client.post(JOBS, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_input"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["message"] in problem["detail"]
    assert api.reader.latest_event_id() == 0


async def test_one_key_makes_one_job(api: ApiPlatform) -> None:
    headers = {"Idempotency-Key": "k" * 255}
    async with api.client() as client:
        answers = await asyncio.gather(*(client.post(JOBS, json=SOURCE_EXAMPLE, headers=headers) for _ in range(50)))
        started = answers[0].json()["id"]
        await api.record(Reports(started).started())
        later = await client.post(JOBS, json=SOURCE_EXAMPLE, headers=headers)
        other = await client.post(JOBS, json={"job_name": "other"}, headers=headers)
        total = (await client.get(JOBS)).json()["total"]
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.content for answer in [*answers, later]} == {answers[0].content}
    assert later.headers["location"] == answers[0].headers["location"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert total == 1


async def test_the_key_ignores_how_the_body_is_written(api: ApiPlatform) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    async with api.client() as client:
        first = await client.post(JOBS, content='{"job_name":"a","priority":1}', headers=headers)
        second = await client.post(JOBS, content='{ "priority": 1, "job_name": "a" }', headers=headers)
    assert first.content == second.content


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_has_1_to_255_characters(api: ApiPlatform, key: str) -> None:
    async with api.client() as client:
        answer = await client.post(JOBS, json=SOURCE_EXAMPLE, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].lower() == "idempotency-key"


async def test_a_row_of_the_list_has_what_the_table_shows(api: ApiPlatform) -> None:
    job = await api.create("shown", epochs=10)
    reports = Reports(job.id)
    await api.record(reports.started(), reports.epoch(4), reports.progress(40.0, epoch=4, eta_s=120.0))
    async with api.client() as client:
        body = (await client.get(JOBS)).json()
    assert body["total"] == 1
    row = body["jobs"][0]
    assert row["status"] == "running"
    assert (row["current_epoch"], row["total_epochs"], row["progress_percent"]) == (4, 10, 40.0)
    assert (row["train_loss"], row["val_loss"], row["best_epoch"]) == (0.25, 0.375, 4)
    assert 100 < row["eta_seconds"] <= 120
    assert body["last_event_id"] == api.reader.latest_event_id() == 4


async def test_the_list_filters(api: ApiPlatform) -> None:
    for name in ("alpha", "Beta", "gamma"):
        await api.create(name, user="ada" if name == "Beta" else "local")
    running = await api.create("delta")
    await api.record(Reports(running.id).started())
    async with api.client() as client:

        async def names(**params: Any) -> list[str]:
            answer = await client.get(JOBS, params={"sort": "name"} | params)
            assert answer.status_code == 200, answer.text
            assert answer.json()["total"] == len(answer.json()["jobs"])
            return [row["job_name"] for row in answer.json()["jobs"]]

        assert await names() == ["alpha", "Beta", "delta", "gamma"]
        assert await names(status="running") == ["delta"]
        assert await names(status=["queued", "running"]) == ["alpha", "Beta", "delta", "gamma"]
        assert await names(status="failed") == []
        assert await names(name="BET") == ["Beta"]
        assert await names(user="ada") == ["Beta"]
        assert await names(kind="convnext", sort="-name") == ["gamma", "delta", "Beta", "alpha"]
        assert await names(kind="lora") == []


async def test_the_list_pages_by_cursor_and_by_offset(api: ApiPlatform) -> None:
    made = [(await api.create(f"job {number}")).id for number in range(7)]
    async with api.client() as client:
        by_cursor: list[str] = []
        params: dict[str, Any] = {"limit": 3}
        while True:
            page = (await client.get(JOBS, params=params)).json()
            assert page["total"] == 7
            by_cursor += [row["id"] for row in page["jobs"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        by_offset = [
            row["id"]
            for offset in (0, 3, 6)
            for row in (await client.get(JOBS, params={"limit": 3, "offset": offset})).json()["jobs"]
        ]
    assert by_cursor == by_offset == made[::-1]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"offset": -1}, "offset"),
        ({"status": "done"}, "status.0"),
        ({"sort": "colour"}, "sort"),
        ({"cursor": "garbage"}, "cursor"),
        ({"cursor": "garbage", "offset": 3}, "offset"),
    ],
)
async def test_a_query_that_cannot_be_answered_names_the_parameter(
    api: ApiPlatform, params: dict[str, Any], field: str
) -> None:
    async with api.client() as client:
        answer = await client.get(JOBS, params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_detail_has_every_column_and_the_last_epochs(api: ApiPlatform) -> None:
    job = await api.create("detail", epochs=40)
    reports = Reports(job.id)
    epochs = [reports.epoch(number, train_loss=1.0, f1=0.5) for number in range(1, 31)]
    await api.record(reports.started(), *epochs, reports.artifact("last", "/x/last"), reports.step(31, 7, train_loss=9))
    async with api.client() as client:
        body = (await client.get(f"{JOBS}/{job.id}")).json()
    detail = body["job"]
    assert detail["metrics"] == {"f1": 0.5, "train_loss": 9.0}
    assert detail["checkpoint_path"] == "/x/last"
    assert detail["onnx_model_path"] is None
    assert (detail["attempt"], detail["max_retries"], detail["cancel_requested"]) == (1, 2, False)
    source_columns = (
        "id job_name celery_task_id status created_at started_at completed_at config current_epoch total_epochs "
        "progress_percent train_loss val_loss train_accuracy val_accuracy learning_rate best_epoch best_val_loss "
        "checkpoint_path onnx_model_path mlflow_run_id error_message dataset_size train_samples val_samples "
        "model_architecture"
    )
    assert set(source_columns.split()) <= detail.keys()
    assert [row["epoch"] for row in body["recent_metrics"]] == list(range(11, 31))
    assert body["recent_metrics"][-1]["extra"] == {"f1": 0.5}
    assert body["websocket_url"] == f"ws://127.0.0.1:8001/ws/training/{job.id}"


async def test_an_unknown_job_is_a_404_everywhere(api: ApiPlatform) -> None:
    unknown = f"{JOBS}/{uuid.uuid4()}"
    async with api.client() as client:
        answers = [await client.get(f"{unknown}{rest}") for rest in ("", "/metrics", "/logs", "/events", "/artifacts")]
        answers += [await client.delete(unknown)]
        answers += [await client.post(f"{unknown}{rest}") for rest in ("/cancel", "/retry", "/save")]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert {answer.json()["code"] for answer in answers} == {"job_not_found"}


async def test_cancel_asks_and_shows_it(api: ApiPlatform) -> None:
    job = await api.create()
    async with api.client() as client:
        first = await client.post(f"{JOBS}/{job.id}/cancel")
        again = await client.post(f"{JOBS}/{job.id}/cancel")
        await api.record(Reports(job.id).cancelled())
        late = await client.post(f"{JOBS}/{job.id}/cancel")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["job"]["cancel_requested"] is True
    assert (late.status_code, late.json()["code"]) == (409, "job_is_final")


async def test_retry_goes_on_from_the_newest_checkpoint(api: ApiPlatform) -> None:
    job = await api.create("again", epochs=7)
    reports = Reports(job.id)
    async with api.client() as client:
        early = await client.post(f"{JOBS}/{job.id}/retry")
        await api.record(reports.artifact("e1", "/run/e1"))
        await api.record(reports.artifact("e2", "/run/e2"), reports.cancelled())
        resumed = await client.post(f"{JOBS}/{job.id}/retry")
        fresh = await client.post(f"{JOBS}/{job.id}/retry", json={"from_checkpoint": False})
        wrong = await client.post(f"{JOBS}/{job.id}/retry", json={"checkpoint": "e1"})
    assert (early.status_code, early.json()["code"]) == (409, "job_is_active")
    assert resumed.status_code == fresh.status_code == 201
    assert (resumed.json()["retry_of"], resumed.json()["resume_from"]) == (job.id, "/run/e2")
    assert (fresh.json()["retry_of"], fresh.json()["resume_from"]) == (job.id, None)
    assert resumed.json()["id"] not in (job.id, fresh.json()["id"])
    assert resumed.json()["config"] == dict(job.spec["config"])
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "checkpoint")


async def test_a_completed_job_is_repeated_from_the_start(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(reports.artifact("last", "/run/last"), reports.succeeded())
    async with api.client() as client:
        answer = await client.post(f"{JOBS}/{job.id}/retry", json={"from_checkpoint": True})
    assert answer.json()["resume_from"] is None


async def test_one_key_makes_one_retry(api: ApiPlatform) -> None:
    job = await api.create()
    await api.record(Reports(job.id).cancelled())
    headers = {"Idempotency-Key": "again"}
    async with api.client() as client:
        first, second = [await client.post(f"{JOBS}/{job.id}/retry", headers=headers) for _ in range(2)]
        other = await client.post(f"{JOBS}/{job.id}/retry", headers=headers, json={"from_checkpoint": False})
    assert first.content == second.content
    assert other.status_code == 409


async def test_delete_answers_when_the_rows_are_gone(api: ApiPlatform) -> None:
    job = await api.create()
    app = api.app()
    async with api.client(app) as client:
        deleting = asyncio.create_task(client.delete(f"{JOBS}/{job.id}"))
        await eventually(lambda: api.reader.job(job.id).state.delete_requested)
        assert not deleting.done()
        await api.recorder.delete(job.id)  # as the dispatcher does once the workers have ended
        answer = await deleting
        assert (await client.get(f"{JOBS}/{job.id}")).status_code == 404
        assert (await client.delete(f"{JOBS}/{job.id}")).status_code == 404
    assert (answer.status_code, answer.content) == (204, b"")
    assert app.state.context.hub.client_count == 0


async def test_delete_does_not_wait_for_ever(api: ApiPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "DELETE_WAIT_S", 0.05)
    job = await api.create()
    async with api.client() as client:
        answer = await client.delete(f"{JOBS}/{job.id}")
        again = await client.delete(f"{JOBS}/{job.id}")
    assert (answer.status_code, answer.json()) == (202, {"id": job.id, "status": "deleting"})
    assert again.status_code == 202


@pytest.mark.parametrize(
    ("headers", "settings", "url"),
    [
        ({}, {}, "ws://127.0.0.1:8001"),
        ({"x-forwarded-proto": "https"}, {}, "wss://127.0.0.1:8001"),
        ({"x-forwarded-proto": "https", "x-forwarded-host": "ml.example.org"}, {}, "wss://ml.example.org"),
        ({"x-forwarded-host": "ml.example.org", "x-forwarded-port": "8443"}, {}, "ws://ml.example.org:8443"),
        ({"x-forwarded-host": "a.example, b.internal", "x-forwarded-proto": "https, http"}, {}, "wss://a.example"),
        ({"x-forwarded-host": "ml.example.org", "x-forwarded-prefix": "/rays/"}, {}, "ws://ml.example.org/rays"),
        (
            {"forwarded": 'for=1.2.3.4;proto=https;host="ml.example.org:444", for=10.0.0.1'},
            {},
            "wss://ml.example.org:444",
        ),
        ({"forwarded": "proto=https;host=a.example", "x-forwarded-host": "b.example"}, {}, "wss://a.example"),
        (
            {"x-forwarded-host": "b.example"},
            {"public_url": "https://ml.example.org/rays/"},
            "wss://ml.example.org/rays",
        ),
        ({"x-forwarded-host": 'evil"><script>'}, {}, "ws://127.0.0.1:8001"),
        ({"x-forwarded-prefix": "//evil.example"}, {}, "ws://127.0.0.1:8001"),
        ({"x-forwarded-proto": "gopher"}, {}, "ws://127.0.0.1:8001"),
    ],
)
async def test_the_websocket_url_is_right_behind_proxies(
    api: ApiPlatform, headers: dict[str, str], settings: dict[str, Any], url: str
) -> None:
    job = await api.create()
    async with api.client(**settings) as client:
        answer = await client.get(f"{JOBS}/{job.id}", headers=headers)
    assert answer.json()["websocket_url"] == f"{url}/ws/training/{job.id}"


async def test_what_is_unavailable_says_when_to_come_back(api: ApiPlatform) -> None:
    async with api.client() as client:
        await api.recorder.close()
        answer: httpx2.Response = await client.post(JOBS, json=SOURCE_EXAMPLE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["code"] in ("unavailable", "store_unavailable")
