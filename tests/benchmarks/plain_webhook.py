"""The webhook handler as one writes it: check, parse, one transaction per request, answer. No actor, no batches."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from standardwebhooks import Webhook, WebhookVerificationError

TABLES = (
    "CREATE TABLE deliveries (delivery_id VARCHAR(255) PRIMARY KEY, received_at TIMESTAMP, body TEXT)",
    "CREATE TABLE events (id {serial}, job_id VARCHAR(36), item INTEGER, status VARCHAR(20), body TEXT)",
    "CREATE TABLE items (job_id VARCHAR(36), item INTEGER, status VARCHAR(20), provider_id VARCHAR(255), "
    "outputs TEXT, PRIMARY KEY (job_id, item))",
)
DELIVERY = sa.text("INSERT INTO deliveries VALUES (:id, :at, :body) ON CONFLICT DO NOTHING")
EVENT = sa.text("INSERT INTO events (job_id, item, status, body) VALUES (:job, :item, :status, :body)")
ITEM = sa.text(
    "UPDATE items SET status = :status, provider_id = :id, outputs = :outputs WHERE job_id = :job AND item = :item"
)


def make_tables(engine: sa.Engine, orders: list[tuple[str, int]]) -> None:
    """The tables, and a row for each order."""
    serial = "INTEGER PRIMARY KEY" if engine.dialect.name == "sqlite" else "BIGSERIAL PRIMARY KEY"
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(sa.text(statement.format(serial=serial)))
        rows = [{"job": job_id, "item": item} for job_id, item in orders]
        connection.execute(sa.text("INSERT INTO items (job_id, item, status) VALUES (:job, :item, 'intended')"), rows)


def plain_app(engine: sa.Engine, secret: bytes) -> FastAPI:
    """One route."""
    app = FastAPI()
    webhook = Webhook("whsec_" + base64.b64encode(secret).decode())

    def take(delivery_id: str, raw: bytes, query: dict[str, str]) -> None:
        body: dict[str, Any] = json.loads(raw)
        order = {"job": query["job"], "item": int(query["item"]), "status": body["status"]}
        with engine.begin() as connection:
            delivery = {"id": delivery_id, "at": datetime.now(UTC), "body": raw.decode()}
            if connection.execute(DELIVERY, delivery).rowcount == 0:
                return
            connection.execute(EVENT, {**order, "body": raw.decode()})
            connection.execute(ITEM, {**order, "id": body["id"], "outputs": json.dumps(body["output"])})

    @app.post("/api/v1/webhooks/replicate")
    async def replicate(request: Request) -> Response:
        raw = await request.body()
        try:
            webhook.verify(raw, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, UnicodeDecodeError):
            return Response(status_code=401)
        await run_in_threadpool(take, request.headers["webhook-id"], raw, dict(request.query_params))
        return Response(status_code=200)

    return app


def count_plain(engine: sa.Engine) -> dict[str, int]:
    """What is in its tables."""
    questions = {
        "ends": "SELECT count(*) FROM events",
        "items": "SELECT count(*) FROM items WHERE status = 'succeeded'",
        "inbox": "SELECT count(*) FROM deliveries",
    }
    with engine.connect() as connection:
        return {name: connection.execute(sa.text(text)).scalar_one() for name, text in questions.items()}
