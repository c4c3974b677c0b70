"""Webhooks of the providers, and the inbox with those that could not be used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from serve_apps.api import inbox
from serve_apps.api.context import Context, get_context
from serve_apps.api.inbox import DeliveryDetail, DeliveryList, DeliveryState, ReceiptOut
from thornback.errors import Conflict
from thornback.jobs.spec import Provider
from thornback.webhooks.address import Address

PREFIX = "/api/v1/webhooks"
ALIAS_PREFIX = "/api/webhooks"
MAX_ROW_ID = 2**63 - 1
MAX_CURSOR = 1024

RowId = Annotated[int, Path(ge=1, le=MAX_ROW_ID)]

router = APIRouter(tags=["webhooks"])


# Their bodies are read and their answers written by hand: what a framework adds would cost as much as the work.
@router.post(f"{ALIAS_PREFIX}/replicate", include_in_schema=False)
@router.post(f"{PREFIX}/replicate", response_model=ReceiptOut, summary="Webhook of Replicate")
async def replicate(request: Request) -> Response:
    """News of a training or a prediction, signed as Standard Webhooks are.

    401: unsigned, altered or too old; nothing has changed. 503: the database or the signing secret is away;
    send it again. 200 else, also for a repeat, and for one that means nothing here and is kept as a dead letter.
    """
    return await _receive("replicate", request)


@router.post(f"{ALIAS_PREFIX}/fal", include_in_schema=False)
@router.post(f"{PREFIX}/fal", response_model=ReceiptOut, summary="Webhook of fal")
async def fal(request: Request) -> Response:
    """The end of a request, signed with one of fal's published keys. Answers like Replicate's."""
    return await _receive("fal", request)


@router.get(f"{PREFIX}/deliveries", summary="List webhooks that came in")
async def list_deliveries(
    context: Context,
    state: Annotated[DeliveryState | None, Query(description="`dead`: those that could not be used.")] = None,
    provider: Provider | None = None,
    job: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR, description="`next_cursor` of the page before.")] = None,
) -> DeliveryList:
    """A page of the inbox, the newest first, without bodies."""
    job_id = str(job) if job else None
    page = await context.read(
        lambda store: store.deliveries(state=state, provider=provider, job_id=job_id, limit=limit, cursor=cursor)
    )
    return DeliveryList(deliveries=[inbox.summary(row) for row in page.deliveries], next_cursor=page.next_cursor)


@router.get(f"{PREFIX}/deliveries/{{delivery_id}}", summary="Look at a webhook that came in")
async def get_delivery(context: Context, delivery_id: RowId) -> DeliveryDetail:
    """One delivery with its body."""
    return inbox.detail(await context.read(lambda store: store.delivery(delivery_id)))


@router.post(f"{PREFIX}/deliveries/{{delivery_id}}/replay", summary="Use a webhook again")
async def replay_delivery(context: Context, delivery_id: RowId) -> ReceiptOut:
    """Interpret a delivery again with what is known now; a dead letter that means something is applied."""
    row = await context.read(lambda store: store.delivery(delivery_id))
    return inbox.receipt(await context.receiver.replay(inbox.again(row)))


@router.delete(f"{PREFIX}/deliveries/{{delivery_id}}", status_code=204, summary="Discard a dead letter")
async def discard_delivery(context: Context, delivery_id: RowId) -> Response:
    """Forget a delivery that could not be used. 409 for one that was: a repeat could not be known as one."""
    row = await context.read(lambda store: store.delivery(delivery_id))
    if row.state != "dead":
        raise Conflict(f"delivery {delivery_id} was used and stays, so that a repeat is known as one")
    await context.recorder.discard(delivery_id)
    return Response(status_code=204)


async def _receive(provider: Provider, request: Request) -> Response:
    body = await request.body()
    address = Address.parse(request.query_params)
    receiver = get_context(request).receiver
    done = await receiver.receive(provider, request.headers, body, address, at=datetime.now(UTC))
    return Response(inbox.receipt(done).model_dump_json(), media_type="application/json")
