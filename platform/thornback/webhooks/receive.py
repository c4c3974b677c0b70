"""A webhook from its bytes to the database: check, read, find its order, say what it means, commit.

What the provider said becomes a `Sighting` and that becomes events, by the functions that polls and syncs
use as well, so that it makes no difference which way a thing was heard, how often, or in what order.
A webhook that means nothing is not refused, because its sender would only send it again: it is kept as a
dead letter with the reason, and can be replayed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import orjson

from thornback.errors import InvalidInput, SignatureInvalid, Unavailable
from thornback.log import get_logger
from thornback.metrics.port import Delivery, Receipt, Recorder
from thornback.providers import fal_body, replicate_body
from thornback.providers.port import Sighting
from thornback.providers.reading import load_body
from thornback.store.sought import Known, Sought
from thornback.telemetry.catalogue import WEBHOOKS_IN
from thornback.webhooks.address import Address
from thornback.webhooks.meaning import Interpreter, Meaning, dead
from thornback.webhooks.verify import Verifier

MAX_STATUS_CHARS = 50

_READ: Mapping[str, Callable[[Mapping[str, Any]], Sighting]] = {
    "replicate": replicate_body.read_sighting,
    "fal": fal_body.read_sighting,
}
_log = get_logger("webhooks")


class Lookup(Protocol):
    """Knows what came before and the orders that were given."""

    async def __call__(self, sought: Sought) -> Known:
        """What is known of a webhook. Raises StoreUnavailable."""
        ...


# Adds what the log brings to the meaning of a webhook of which nobody else would read it.
Complete = Callable[[Meaning, Sighting], Awaitable[Meaning]]


class Receiver:
    """Takes the webhooks of all providers. One event loop uses it."""

    def __init__(
        self,
        *,
        verifiers: Mapping[str, Verifier],
        look_up: Lookup,
        interpret: Interpreter,
        complete: Complete,
        recorder: Recorder,
    ) -> None:
        self._verifiers = verifiers
        self._look_up = look_up
        self._interpreter = interpret
        self._complete = complete
        self._recorder = recorder

    async def receive(
        self, provider: str, headers: Mapping[str, str], body: bytes, address: Address, *, at: datetime
    ) -> Receipt:
        """Take a webhook; what it means is in the database when this returns.

        Args:
            provider: replicate or fal.
            headers: by lower-case name.
            body: as it came.
            address: from its URL.
            at: this instant.

        Raises:
            SignatureInvalid: it is not the provider's word; nothing has changed.
            Unavailable: the database or the keys are away; nothing has changed, and the provider should try again.
        """
        outcome = "unavailable"
        try:
            receipt = await self._receive(provider, headers, body, address, at=at)
            outcome = _outcome(receipt)
        except SignatureInvalid:
            outcome = "refused"
            raise
        finally:
            WEBHOOKS_IN.add(provider=provider, outcome=outcome)
        return receipt

    async def _receive(
        self, provider: str, headers: Mapping[str, str], body: bytes, address: Address, *, at: datetime
    ) -> Receipt:
        envelope = await self._verifiers[provider].verify(headers, body, now=at)
        delivery = Delivery(
            provider=provider,
            delivery_id=envelope.id,
            received_at=at,
            provider_id=envelope.subject,
            job_id=address.job_id,
            item=address.item,
            status=None,
            body=body.decode(errors="replace"),
        )
        return await self._take(delivery, body, address)

    async def replay(self, delivery: Delivery) -> Receipt:
        """Interpret a delivery of the inbox again, with what is known now. Raises Unavailable."""
        address = Address(job_id=delivery.job_id, item=delivery.item)
        fresh = replace(delivery, problem=None)
        return await self._take(fresh, delivery.body.encode(), address)

    async def _take(self, delivery: Delivery, body: bytes, address: Address) -> Receipt:
        meaning = await self._interpret(delivery, body, address)
        if meaning is None:
            return Receipt(is_new=False, committed=0)
        delivery = meaning.delivery
        if delivery.problem is not None:
            _log.warning(
                "a webhook could not be used",
                provider=delivery.provider,
                provider_id=delivery.provider_id,
                job_id=delivery.job_id,
                problem=delivery.problem,
            )
        return await self._recorder.receive(delivery, meaning.events, new=meaning.new)

    async def _interpret(self, delivery: Delivery, body: bytes, address: Address) -> Meaning | None:
        """None for a repeat of one that was used."""
        try:
            sighting = _READ[delivery.provider](_load(body))
        except InvalidInput as error:
            return dead(delivery, error.message)
        if delivery.provider_id not in (None, sighting.provider_id):
            raise SignatureInvalid("the request id that was signed is not the one in the body")
        known = await self._look_up(address.sought(delivery, sighting.provider_id))
        if known.is_applied:
            return None
        delivery = replace(delivery, provider_id=sighting.provider_id, status=sighting.status[:MAX_STATUS_CHARS])
        try:
            meaning = self._interpreter.meaning(delivery, sighting, known.order)
            return await self._complete(meaning, sighting) if meaning.is_all else meaning
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not cost the delivery; mended, it is replayed
            _log.exception("a webhook could not be interpreted", provider_id=sighting.provider_id)
            return dead(delivery, f"it could not be interpreted: {type(error).__name__}: {error}")


def _outcome(receipt: Receipt) -> str:
    if receipt.problem is not None:
        return "dead"
    return "applied" if receipt.is_new else "repeat"


def _load(body: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return load_body(body)  # slower, and takes the bare control characters of real training logs
    if not isinstance(document, dict):
        raise InvalidInput.field("body", "it must be a JSON object")
    return document
