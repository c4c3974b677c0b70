"""An API in this process over SQLite or PostgreSQL, and providers who sign what they send to it."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fixtures.api import ApiPlatform, api_on
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.items import ItemState
from thornback.jobs.spec import parse_spec
from thornback.metrics.port import NewJob
from thornback.store.inbox import DeliveryRow
from thornback.webhooks.sign import sign_fal, sign_replicate

SECRET = b"thirty-two bytes of a shared key"
WHSEC = "whsec_" + base64.b64encode(SECRET).decode()
FAL_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REPLICATE = "/api/v1/webhooks/replicate"
FAL = "/api/v1/webhooks/fal"


@dataclass
class Provider:
    """Sends signed webhooks to one API."""

    platform: ApiPlatform
    client: httpx2.AsyncClient
    sent: int = field(default=0)

    async def replicate(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        secret: bytes = SECRET,
        age_s: int = 0,
        delivery_id: str | None = None,
        path: str = REPLICATE,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> httpx2.Response:
        """One delivery; `headers` replace some, an empty value removes one."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = dict(sign_replicate(raw, secret, timestamp=int(time.time()) - age_s, delivery_id=delivery_id))
        signed = {name: value for name, value in {**signed, **(headers or {})}.items() if value}
        self.sent += 1
        return await self.client.post(path, content=raw, headers=signed, params=query)

    async def fal(
        self, body: Mapping[str, Any] | bytes, *, request_id: str, key: Ed25519PrivateKey = FAL_KEY, **query: Any
    ) -> httpx2.Response:
        """One delivery."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = sign_fal(raw, key, request_id=request_id, timestamp=int(time.time()))
        return await self.client.post(FAL, content=raw, headers=dict(signed), params=query)

    async def ordered(
        self, provider: str = "replicate", *, provider_id: str | None = None, kind: str = "lora", items: int = 1
    ) -> str:
        """A job whose orders are written down, and sent where `provider_id` is given; its id."""
        config: dict[str, Any] = {"dataset": "https://example.com/wayfarer.zip", "trigger_word": "WAYFARER"}
        if kind == "image_set":
            config = {"character": "Wayfarer", "prompts": ["at sea"], "count": items}
        spec = parse_spec({"kind": kind, "backend": provider, "job_name": "a job", "config": config})
        at = datetime.now(UTC)
        job_id = str(uuid.uuid4())
        await self.platform.recorder.create(NewJob(job_id=job_id, spec=spec.model_dump(mode="json"), user="u", at=at))
        make = EventFactory(job_id)
        events = [make.scheduled(Attempt(), submission_id="s", at=at)]
        events += [make.item(n, order=1, status="intended", provider=provider, at=at) for n in range(1, items + 1)]
        if provider_id is not None:
            events.append(make.item(1, order=1, status="sent", provider=provider, provider_id=provider_id, at=at))
        await self.platform.record(*events)
        return job_id

    def dead(self) -> list[DeliveryRow]:
        """The dead letters, the newest first."""
        return list(self.platform.reader.deliveries(state="dead").deliveries)

    def inbox(self) -> list[DeliveryRow]:
        """All that was kept."""
        return list(self.platform.reader.deliveries().deliveries)

    def item(self, job_id: str, number: int = 1) -> ItemState:
        """An item as the database has it."""
        return next(item for item in self.platform.reader.items(job_id) if item.item == number)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Both databases."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def provider(tmp_path: Path, database_url: str) -> AsyncIterator[Provider]:
    """A provider of a server that has its secret and follows nobody."""
    async with api_on(database_url, tmp_path, replicate_webhook_secrets=WHSEC) as platform, platform.client() as client:
        yield Provider(platform, client)


def training(status: str, id: str = "z5phh5", **fields: Any) -> dict[str, Any]:
    """A body of Replicate's, as the source's example has it."""
    inputs = {
        "captioning": "automatic",
        "input_images": "https://storage.example/dataset.zip",
        "trigger_word": "MYMODEL",
        "steps": 300,
    }
    return {"id": id, "status": status, "input": inputs, "output": None, "logs": ""} | fields


def succeeded(id: str = "z5phh5", **fields: Any) -> dict[str, Any]:
    """The last one of a training."""
    return training(
        "succeeded",
        id,
        **{
            "output": "ffaf718d-a58d-4426-b128-39dc939af6fe",
            "metrics": {"predict_time": 791.272920881, "total_time": 791.282155},
            "completed_at": "2025-06-22T04:15:19.625155Z",
            "started_at": "2025-06-22T04:02:08.352234Z",
            "logs": "Fine-tuning completed...",
        }
        | fields,
    )
