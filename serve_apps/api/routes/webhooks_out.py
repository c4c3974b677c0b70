"""Webhooks out: who is told of what, and what became of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from serve_apps.api import webhook_views as views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.principal import Caller, Principal
from serve_apps.api.webhook_schemas import (
    MessageDetail,
    MessageList,
    NewWebhook,
    ReplayIn,
    ReplayOut,
    RotateIn,
    SecretOut,
    SentOut,
    WebhookIn,
    WebhookList,
    WebhookOut,
    WebhookPatch,
)
from thornback.errors import Conflict, InvalidInput, NotFound
from thornback.jobs.subscriptions import MessageState, Target, Webhook, new_secret, new_webhook_id
from thornback.jobs.webhook_changes import AddWebhook, ChangeWebhook, Enqueue, RemoveWebhook, Replay, RotateSecret
from thornback.notify.envelope import trial_message

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks out"], dependencies=[Depends(json_only)])

MOST = 100  # of one user
MAX_ROW_ID = 2**63 - 1

Id = Annotated[str, Path(max_length=64)]
RowId = Annotated[int, Path(ge=1, le=MAX_ROW_ID)]


@router.get("", summary="List webhooks")
async def list_webhooks(context: Context, caller: Caller) -> WebhookList:
    """Your own, the oldest first; an admin sees all."""
    user = None if caller.is_admin else caller.user
    found = await context.read(lambda _: context.webhooks.webhooks(user))
    return WebhookList(webhooks=[views.webhook(one) for one in found])


@router.post("", status_code=201, summary="Make a webhook")
async def make_webhook(context: Context, caller: Caller, body: WebhookIn, response: Response) -> NewWebhook:
    """It is told of what happens from now on to jobs that you may look at.

    Messages to `webhook` are signed as Standard Webhooks are (headers webhook-id, -timestamp, -signature) with the
    secret of this answer, which is shown this once. Ends and alerts are sent again for about a day where they
    are not answered with 2xx within 15 s; progress is not. 410 disables the webhook, and so do days of failure.
    """
    address = views.check_address(body.target, body.address, context.settings)
    contact = views.check_contact(body.contact)
    mine = await context.read(lambda _: context.webhooks.webhooks(caller.user))
    if len(mine) >= MOST:
        raise Conflict(f"you have {MOST} webhooks; remove one first")
    made = Webhook(
        id=new_webhook_id(),
        user=caller.user,
        target=body.target,
        address=address,
        events=tuple(dict.fromkeys(body.events)),
        filter=views.read_filter(body.filter),
        description=body.description.strip(),
        contact=contact or None,
        secret=new_secret() if body.target is Target.WEBHOOK else None,
        created_at=datetime.now(UTC),
    )
    kept = made if made.secret is None else replace(made, secret=context.sealer.seal(made.secret))
    await context.recorder.administer(AddWebhook(webhook=kept), by=caller.user)
    response.headers["Location"] = f"{router.prefix}/{made.id}"
    return NewWebhook(**views.webhook(made).model_dump(), secret=made.secret)


@router.get("/{webhook_id}", summary="One webhook")
async def get_webhook(context: Context, caller: Caller, webhook_id: Id) -> WebhookOut:
    """How it is set up and how it is doing."""
    return views.webhook(await _find(context, caller, webhook_id))


@router.patch("/{webhook_id}", summary="Change a webhook")
async def change_webhook(context: Context, caller: Caller, webhook_id: Id, body: WebhookPatch) -> WebhookOut:
    """Disabling gives up what waits; what happens until it is enabled again is not told."""
    found = await _find(context, caller, webhook_id)
    address = None if body.address is None else views.check_address(found.target, body.address, context.settings)
    change = ChangeWebhook(
        id=webhook_id,
        at=datetime.now(UTC),
        address=address,
        events=None if body.events is None else tuple(dict.fromkeys(body.events)),
        filter=None if body.filter is None else views.read_filter(body.filter),
        description=None if body.description is None else body.description.strip(),
        contact=views.check_contact(body.contact),
        is_enabled=body.is_enabled,
    )
    await context.recorder.administer(change, by=caller.user)
    return views.webhook(await _find(context, caller, webhook_id))


@router.delete("/{webhook_id}", status_code=204, summary="Remove a webhook")
async def remove_webhook(context: Context, caller: Caller, webhook_id: Id) -> Response:
    """With the log of what it was told."""
    await _find(context, caller, webhook_id)
    await context.recorder.administer(RemoveWebhook(id=webhook_id, at=datetime.now(UTC)), by=caller.user)
    return Response(status_code=204)


@router.post("/{webhook_id}/test", status_code=202, summary="Send a test")
async def try_webhook(context: Context, caller: Caller, webhook_id: Id) -> SentOut:
    """A message of type webhook.test, on its way within a second; ask for the message to see what came of it."""
    found = await _enabled(context, caller, webhook_id)
    made = trial_message(found, by=caller.user, at=datetime.now(UTC))
    await context.recorder.administer(Enqueue(messages=(made,)))
    sent = await context.read(lambda _: context.webhooks.find(webhook_id, made.event_id))
    if sent is None:
        raise Conflict("the webhook was disabled or removed meanwhile")
    return SentOut(message=views.message(sent))


@router.post("/{webhook_id}/rotate", summary="Replace the secret")
async def rotate_secret(
    context: Context, caller: Caller, webhook_id: Id, body: Annotated[RotateIn | None, Body()] = None
) -> SecretOut:
    """From now on both secrets sign each message, for a day unless you say otherwise; receivers take either."""
    found = await _find(context, caller, webhook_id)
    if found.target is not Target.WEBHOOK:
        raise InvalidInput.field("webhook_id", f"messages to {found.target} are not signed; there is no secret")
    now = datetime.now(UTC)
    until = now + timedelta(hours=(body or RotateIn()).keep_old_hours)
    secret = new_secret()
    change = RotateSecret(id=webhook_id, at=now, secret=context.sealer.seal(secret), old_until=until)
    await context.recorder.administer(change, by=caller.user)
    return SecretOut(secret=secret, old_secret_until=until)


@router.get("/{webhook_id}/messages", summary="What a webhook was told")
async def list_messages(
    context: Context,
    caller: Caller,
    webhook_id: Id,
    state: Annotated[MessageState | None, Query(description="`dead`: what was given up.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
) -> MessageList:
    """The newest first, each with its attempts; progress is not kept."""
    await _find(context, caller, webhook_id)
    counts = await context.read(lambda _: context.webhooks.count(webhook_id))
    page = await context.read(lambda _: context.webhooks.messages(webhook_id, state=state, limit=limit, cursor=cursor))
    return MessageList(
        messages=[views.message(one) for one in page.messages], counts=counts, next_cursor=page.next_cursor
    )


@router.get("/{webhook_id}/messages/{message_id}", summary="One message")
async def get_message(context: Context, caller: Caller, webhook_id: Id, message_id: RowId) -> MessageDetail:
    """With its body."""
    await _find(context, caller, webhook_id)
    return views.message_detail(await context.read(lambda _: context.webhooks.message(webhook_id, message_id)))


@router.post("/{webhook_id}/messages/{message_id}/replay", status_code=202, summary="Send a message again")
async def replay_message(context: Context, caller: Caller, webhook_id: Id, message_id: RowId) -> SentOut:
    """Under its id, so that a receiver that had it knows; 409 where it waits for an attempt anyway."""
    await _enabled(context, caller, webhook_id)
    await context.read(lambda _: context.webhooks.message(webhook_id, message_id))
    again = Replay(webhook_id=webhook_id, at=datetime.now(UTC), message_id=message_id, dead_only=False)
    if not await context.recorder.administer(again, by=caller.user):
        raise Conflict(f"message {message_id} waits for its next attempt already")
    return SentOut(
        message=views.message(await context.read(lambda _: context.webhooks.message(webhook_id, message_id)))
    )


@router.post("/{webhook_id}/replay", status_code=202, summary="Send all messages since a time again")
async def replay_all(context: Context, caller: Caller, webhook_id: Id, body: ReplayIn) -> ReplayOut:
    """The dead letters, or with `delivered_too` everything that was made since then and is still kept."""
    await _enabled(context, caller, webhook_id)
    dead_only = not body.delivered_too
    count = await context.read(lambda _: context.webhooks.replayable(webhook_id, since=body.since, dead_only=dead_only))
    again = Replay(webhook_id=webhook_id, at=datetime.now(UTC), since=body.since, dead_only=dead_only)
    await context.recorder.administer(again, by=caller.user)
    return ReplayOut(replayed=count)


async def _find(context: ApiContext, caller: Principal, webhook_id: str) -> Webhook:
    """Raises NotFound, also for those of others."""
    found = await context.read(lambda _: context.webhooks.webhook(webhook_id))
    if not caller.is_admin and found.user != caller.user:
        raise NotFound(f"there is no webhook {webhook_id}")
    return found


async def _enabled(context: ApiContext, caller: Principal, webhook_id: str) -> Webhook:
    """Raises Conflict as well where nothing would be sent."""
    found = await _find(context, caller, webhook_id)
    if not found.is_enabled:
        why = found.disabled_reason or "somebody disabled it"
        raise Conflict(f"webhook {webhook_id} is disabled ({why}); enable it first")
    return found
