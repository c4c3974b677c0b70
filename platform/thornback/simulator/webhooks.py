"""Sends webhooks: signed, in order, again where the provider would, and with the faults that were asked for."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from thornback.simulator.faults import WEBHOOK_FAULTS, Faults
from thornback.simulator.orders import Order
from thornback.simulator.scenario import Scenario
from thornback.simulator.scheduler import Run, Scheduler
from thornback.simulator.signing import FalKeys, real_now, sign_replicate

# After each failure of a final webhook; Replicate's last one comes about a minute after completion …
REPLICATE_RETRIES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# … and fal's tenth within two hours: 7,170 s in all.
FAL_RETRIES = (15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 1200.0, 1800.0, 2325.0)
THROTTLE = timedelta(seconds=0.5)  # between two webhooks for logs
_IN_SENDING = {kind: words for kind, words in WEBHOOK_FAULTS.items() if kind != "webhook_early"}
_STALE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One webhook, however often it is sent."""

    id: str
    order: Order
    event: str  # start, output, logs or completed
    body: bytes


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One time that a webhook was sent."""

    id: str
    order_id: str
    event: str
    status: str  # of the order, as the body says it
    attempt: int
    sent_at: datetime
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fault: str | None
    answer: int | None = None
    error: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver said 2xx."""
        return self.answer is not None and 200 <= self.answer < 300


class Webhooks:
    """All webhooks of both providers; what was sent is in `deliveries`."""

    def __init__(self, scenario: Scenario, scheduler: Scheduler, faults: Faults) -> None:
        self.deliveries: list[Delivery] = []
        self.keys = FalKeys()
        self.on_delivery: Callable[[Delivery], None] = lambda _: None
        self._scenario = scenario
        self._scheduler = scheduler
        self._faults = faults
        self._client: httpx.AsyncClient | None = None
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: dict[str, tuple[Message, str]] = {}

    def send(self, order: Order, event: str, body: bytes) -> None:
        """Tell the receiver of an order; one after the other for each order."""
        prefix = "msg_" if order.provider == "replicate" else "evt_"
        message = Message(id=f"{prefix}{secrets.token_urlsafe(18)}", order=order, event=event, body=body)
        order.delivery = self._scheduler.spawn(self._send(message, str(order.status)))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _send(self, message: Message, status: str) -> None:
        fault = self._faults.take(f"webhook.{message.event}", _IN_SENDING)
        kind = fault.kind if fault else None
        async with self._turns[message.order.id]:
            if kind == "webhook_reorder" and not message.order.is_final:
                self._held[message.order.id] = (message, status)
                return
            if kind == "webhook_drop":
                self._note(message, status, 1, {}, kind)
                return
            accepted = await self._attempt(message, status, 1, kind)
            if not accepted and message.event == "completed":
                self._scheduler.add(self._retry(message, status))
            if kind == "webhook_duplicate":
                await self._attempt(message, status, 1, kind)
            if held := self._held.pop(message.order.id, None):
                await self._attempt(*held, 1, "webhook_reorder")

    async def _attempt(self, message: Message, status: str, attempt: int, kind: str | None) -> bool:
        headers = self._headers(message, kind)
        body = message.body.replace(b'"status":', b'"status" :', 1) if kind == "webhook_tampered" else message.body
        delivery = self._note(message, status, attempt, headers, kind)
        try:
            answer = await self._http().post(str(message.order.webhook), content=body, headers=headers)
            delivery.answer = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            delivery.error = f"{type(error).__name__}: {error}"
        self.on_delivery(delivery)
        return delivery.accepted

    async def _retry(self, message: Message, status: str) -> Run:
        waits = FAL_RETRIES if message.order.provider == "fal" else REPLICATE_RETRIES
        for attempt, wait in enumerate(waits, start=2):
            yield wait
            async with self._turns[message.order.id]:
                if await self._attempt(message, status, attempt, None):
                    return

    def _headers(self, message: Message, kind: str | None) -> dict[str, str]:
        at = real_now() - (_STALE if kind == "webhook_stale" else timedelta())
        if message.order.provider == "replicate":
            secret = Scenario().webhook_secret if kind == "webhook_bad_signature" else self._scenario.webhook_secret
            signed = sign_replicate(secret, message.id, message.body, at)
            agent = "Replicate/1.0"
        else:
            keys = FalKeys() if kind == "webhook_bad_signature" else self.keys
            signed = keys.sign(message.body, request_id=message.order.id, user_id=self._scenario.account, at=at)
            agent = "fal-webhook/1.0"
        if kind == "webhook_unsigned":
            signed = {}
        return {"Content-Type": "application/json", "User-Agent": agent, **signed}

    def _note(
        self, message: Message, status: str, attempt: int, headers: Mapping[str, str], kind: str | None
    ) -> Delivery:
        delivery = Delivery(
            id=message.id,
            order_id=message.order.id,
            event=message.event,
            status=status,
            attempt=attempt,
            sent_at=self._scheduler.clock.now(),
            headers=headers,
            body=message.body,
            fault=kind,
        )
        self.deliveries.append(delivery)
        return delivery

    def _http(self) -> httpx.AsyncClient:
        # receivers are mostly on this machine, which no proxy reaches
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._scenario.webhook_timeout_s, trust_env=False)
        return self._client
