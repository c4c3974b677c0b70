"""Webhooks out in the database: subscriptions, the outbox, and how far the log was read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.contracts.store.conftest import NOW, RUN, Store, job_id
from thornback.errors import InvalidInput, NotFound
from thornback.jobs.events import EventKind
from thornback.jobs.status import JobStatus
from thornback.jobs.subscriptions import (
    BY_DEFAULT,
    JobFilter,
    MessageState,
    NewMessage,
    Target,
    Told,
    Try,
    Webhook,
    check_mail_address,
    new_secret,
    new_webhook_id,
)
from thornback.jobs.webhook_changes import (
    AddWebhook,
    ChangeWebhook,
    Enqueue,
    PruneMessages,
    RemoveWebhook,
    Replay,
    RotateSecret,
    Settle,
    Settled,
    Standing,
)
from thornback.store.webhooks import WebhookReader

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def outbox(store: Store) -> WebhookReader:
    return WebhookReader(store.reader.engine)


def add(store: Store, *, user: str = "ada", filter: JobFilter | None = None) -> Webhook:
    made = Webhook(
        id=new_webhook_id(),
        user=user,
        target=Target.WEBHOOK,
        address="https://example.org/hook",
        events=BY_DEFAULT,
        filter=filter or JobFilter(),
        secret=new_secret(),
        created_at=NOW,
    )
    assert store.writer.administer(AddWebhook(webhook=made))
    return made


def message(webhook: Webhook, event_id: str, at: datetime = NOW, **more: str) -> NewMessage:
    return NewMessage(
        webhook_id=webhook.id, event_id=event_id, told=Told.FAILED, job_id=None, at=at, body='{"id": 1}', **more
    )


def tried(id: int, *, state: MessageState = MessageState.WAITING, due: datetime | None = LATER) -> Settled:
    attempt = Try(at=NOW, status=503, problem="503", ms=12.0)
    return Settled(message_id=id, state=state, due_at=due, failures=1, attempt=attempt)


def test_a_webhook_is_read_as_it_was_made_and_begins_with_what_comes(store: Store, outbox: WebhookReader) -> None:
    store.create()
    wanted = JobFilter(kinds=("lora",), statuses=(JobStatus.FAILED,), teams=("red",), tags={"env": "prod"})
    made = add(store, filter=wanted)
    assert store.writer.administer(AddWebhook(webhook=made))  # the same call again, whose answer was lost
    add(store, user="bob")
    assert outbox.webhooks("ada") == [outbox.webhook(made.id)] == [replace(made, from_event=1)]
    assert {hook.user for hook in outbox.webhooks()} == {"ada", "bob"}
    assert str(made.secret) not in repr(made)


def test_changed_disabled_enabled_and_removed(store: Store, outbox: WebhookReader) -> None:
    made = add(store)
    assert store.writer.administer(ChangeWebhook(id=made.id, at=NOW, events=(Told.ALERT,), contact="ada@example.org"))
    assert not store.writer.administer(ChangeWebhook(id=made.id, at=NOW))
    assert outbox.webhook(made.id).events == (Told.ALERT,)
    store.writer.administer(Enqueue(messages=(message(made, "evt_1"), message(made, "evt_2", address="a@b.example"))))
    assert store.writer.administer(ChangeWebhook(id=made.id, at=LATER, is_enabled=False))
    states = {one.event_id: one.state for one in outbox.messages(made.id).messages}
    assert states == {"evt_1": MessageState.DEAD, "evt_2": MessageState.WAITING}  # a notice goes elsewhere
    store.create()
    assert store.writer.administer(ChangeWebhook(id=made.id, at=LATER, is_enabled=True))
    found = outbox.webhook(made.id)
    assert (found.is_enabled, found.disabled_at, found.from_event) == (True, None, 1)
    assert store.writer.administer(RemoveWebhook(id=made.id, at=NOW))
    assert not store.writer.administer(RemoveWebhook(id=made.id, at=NOW))
    assert store.count("webhook_messages") == 0
    for change in (ChangeWebhook(id=made.id, at=NOW), RotateSecret(id=made.id, at=NOW, secret="whsec_", old_until=NOW)):
        with pytest.raises(NotFound):
            store.writer.administer(change)


def test_who_changed_one_is_in_the_audit_log_without_secrets(store: Store) -> None:
    made = add(store)
    for change in (
        ChangeWebhook(id=made.id, at=NOW, address="https://other.example/token", is_enabled=True),
        RotateSecret(id=made.id, at=NOW, secret=new_secret(), old_until=LATER),
        RemoveWebhook(id=made.id, at=NOW),
    ):
        assert store.writer.administer(change, by="ada")
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT action, actor, target, detail FROM audit_log ORDER BY seq").all()
    assert [row[0] for row in rows] == ["webhook.add", "webhook.change", "webhook.rotate", "webhook.remove"]
    assert {row[2] for row in rows} == {made.id}
    assert [row[1] for row in rows[1:]] == ["ada"] * 3
    assert "whsec_" not in str(rows)
    assert "token" not in str(rows)


def test_a_rotation_keeps_the_old_secret_for_a_while(store: Store, outbox: WebhookReader) -> None:
    made, new = add(store), new_secret()
    for _ in range(2):  # the second is the same call again
        assert store.writer.administer(RotateSecret(id=made.id, at=NOW, secret=new, old_until=LATER))
    found = outbox.webhook(made.id)
    assert (found.secret, found.old_secret, found.old_secret_until) == (new, made.secret, LATER)


def test_the_log_is_read_once_whoever_reads_it(store: Store, outbox: WebhookReader) -> None:
    made = add(store)
    assert outbox.cursor() is None
    assert store.writer.administer(Enqueue(messages=(message(made, "evt_1"),), after=0, cursor=5))
    assert not store.writer.administer(Enqueue(messages=(message(made, "evt_1b"),), after=0, cursor=6))
    assert store.writer.administer(Enqueue(messages=(message(made, "evt_1"),), after=5, cursor=9))
    assert outbox.cursor() == 9
    assert [one.event_id for one in outbox.messages(made.id).messages] == ["evt_1"]
    gone = replace(made, id="wh_gone")
    assert store.writer.administer(Enqueue(messages=(message(gone, "evt_2"), message(made, "evt_2"))))
    assert outbox.count(made.id) == {MessageState.WAITING: 2}


def test_events_are_read_by_kind_and_to_the_end(store: Store, outbox: WebhookReader) -> None:
    makers = [store.create(str(number)) for number in range(3)]
    store.writer.commit([make.started(RUN, at=NOW) for make in makers])
    found, cursor = outbox.happened(0, [EventKind.STARTED], limit=2)
    assert ([one.id for one in found], cursor) == ([4, 5], 5)
    found, cursor = outbox.happened(cursor, [EventKind.STARTED], limit=2)
    assert ([one.id for one in found], cursor) == ([6], 6)
    assert outbox.happened(0, [EventKind.ALERT], limit=2) == ([], 6)
    ids = [job_id(make) for make in makers]
    assert set(outbox.jobs([*ids, "00000000-0000-4000-8000-000000000000"])) == set(ids)


def test_due_settled_dead_and_replayed(store: Store, outbox: WebhookReader) -> None:
    made = add(store)
    store.writer.administer(Enqueue(messages=tuple(message(made, f"evt_{number}") for number in range(3))))
    first, second, third = outbox.due(made.id, NOW, limit=10)
    assert outbox.next_due() == {made.id: NOW}
    assert store.writer.administer(
        Settle(
            settled=(
                tried(first.id),
                tried(second.id, state=MessageState.DEAD, due=None),
                tried(third.id, state=MessageState.DELIVERED, due=None),
            ),
            standings=(Standing(webhook_id=made.id, failing_since=NOW, failures=2),),
        )
    )
    assert [one.id for one in outbox.due(made.id, LATER, limit=10)] == [first.id]
    assert outbox.due(made.id, NOW, limit=10) == []
    dead = outbox.message(made.id, second.id)
    assert (dead.state, dead.attempts, dead.ended_at, dead.due_at) == (MessageState.DEAD, 1, NOW, None)
    assert dead.tries == (Try(at=NOW, status=503, problem="503", ms=12.0),)
    assert outbox.webhook(made.id).failing_since == NOW
    assert not store.writer.administer(Settle(settled=(tried(second.id),)))  # it waits no more
    assert outbox.replayable(made.id, since=NOW, dead_only=True) == 1
    assert outbox.replayable(made.id, since=NOW, dead_only=False) == 2
    assert store.writer.administer(Replay(webhook_id=made.id, at=LATER, since=NOW))
    again = outbox.message(made.id, second.id)
    assert (again.state, again.failures, again.attempts, again.body) == (MessageState.WAITING, 0, 1, dead.body)
    assert store.writer.administer(Replay(webhook_id=made.id, at=LATER, message_id=third.id, dead_only=False))
    assert not store.writer.administer(Replay(webhook_id=made.id, at=LATER, message_id=first.id))
    assert not store.writer.administer(Replay(webhook_id=made.id, at=LATER, since=LATER, dead_only=False))


def test_one_that_is_disabled_gives_up_what_waits_and_others_are_told(store: Store, outbox: WebhookReader) -> None:
    made, other = add(store), add(store)
    store.writer.administer(Enqueue(messages=(message(made, "evt_1"), message(made, "evt_2"))))
    first = outbox.due(made.id, NOW, limit=1)[0]
    store.writer.administer(
        Settle(
            settled=(tried(first.id, state=MessageState.DEAD, due=None),),
            standings=(Standing(webhook_id=made.id, failing_since=NOW, failures=1, disable="410", at=LATER),),
            notices=(message(other, "evt_off"),),
        )
    )
    found = outbox.webhook(made.id)
    assert (found.is_enabled, found.disabled_reason, found.disabled_at) == (False, "410", LATER)
    assert outbox.count(made.id) == {MessageState.DEAD: 2}
    assert [one.event_id for one in outbox.messages(other.id).messages] == ["evt_off"]


def test_pages_and_what_ended_long_ago(store: Store, outbox: WebhookReader) -> None:
    made = add(store)
    store.writer.administer(Enqueue(messages=tuple(message(made, f"evt_{number}") for number in range(5))))
    page = outbox.messages(made.id, limit=3)
    assert [one.event_id for one in page.messages] == ["evt_4", "evt_3", "evt_2"]
    rest = outbox.messages(made.id, limit=3, cursor=page.next_cursor)
    assert ([one.event_id for one in rest.messages], rest.next_cursor) == (["evt_1", "evt_0"], None)
    with pytest.raises(InvalidInput):
        outbox.messages(made.id, cursor="x")
    ended = tuple(tried(one.id, state=MessageState.DEAD, due=None) for one in rest.messages)
    store.writer.administer(Settle(settled=ended))
    assert not store.writer.administer(PruneMessages(before=NOW))
    assert store.writer.administer(PruneMessages(before=LATER))
    assert len(outbox.messages(made.id).messages) == 3
    assert outbox.find(made.id, "evt_0") is None
    found = outbox.find(made.id, "evt_4")
    assert found is not None
    with pytest.raises(NotFound):
        outbox.message("wh_other", found.id)


@pytest.mark.parametrize(
    "text", ["", "ada", "ada@example", "a b@example.org", "ada@example.org\nBcc: x@y.org", "@x.org"]
)
def test_what_is_no_mail_address(text: str) -> None:
    with pytest.raises(InvalidInput, match="contact"):
        check_mail_address(text, field="contact")
