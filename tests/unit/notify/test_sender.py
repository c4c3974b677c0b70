"""The sender over a real database, on a clock that jumps: retries, replays, disabling, restarts, slow receivers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import pairwise

import orjson
import pytest

from tests.fixtures.api import FIRST, ApiPlatform, Reports, eventually
from tests.fixtures.notify import START, subscription
from tests.unit.notify.world import OK, Got, World, since
from thornback.access.changes import AddUser, ChangeUser
from thornback.access.roles import Role
from thornback.jobs.events import EventFactory
from thornback.jobs.subscriptions import JobFilter, MessageState, Target, Told
from thornback.jobs.webhook_changes import ChangeWebhook, RemoveWebhook, Replay
from thornback.notify.answer import Answer, judge
from thornback.notify.schedule import JITTER, PAUSES

DELIVERED, DEAD, WAITING = MessageState.DELIVERED, MessageState.DEAD, MessageState.WAITING
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
async def world(api: ApiPlatform) -> AsyncIterator[World]:
    world = World(api)
    yield world
    world.close()


def always(status: int) -> Callable[[Got], Answer]:
    return lambda _: judge(status)


async def test_an_end_is_told_once_with_the_job_as_it_stands(world: World) -> None:
    hook = await world.add(subscription())
    async with world.sending():
        job_id = await world.fail("fox", message="the loss is NaN")
        await world.until(hook, DELIVERED)
    [got] = world.got
    envelope = orjson.loads(got.body)
    assert got.id == envelope["id"] == f"evt_{job_id.replace('-', '')}_2"
    assert (envelope["type"], envelope["version"], envelope["created_at"]) == (
        "job.failed",
        1,
        "2026-03-01T12:00:00.000Z",
    )
    job = envelope["data"]["job"]
    assert (job["id"], job["name"], job["status"], job["user"]) == (job_id, "fox", "failed", "ada")
    assert envelope["data"]["event"] == {"reason": "diverged", "message": "the loss is NaN"}
    assert "config" not in got.body


async def test_a_job_that_waits_for_a_person_is_told(world: World) -> None:
    hook = await world.add(subscription())
    job = await world.api.create("frames to look at")
    async with world.sending():
        await world.api.record(EventFactory(job.id).parked(FIRST, at=world.clock.now()))
        await world.until(hook, DELIVERED)
    assert [got.told for got in world.got] == ["job.waiting"]


async def test_the_schedule_is_kept_to_the_dead_letter_and_a_replay_delivers(world: World) -> None:
    hook = await world.add(subscription())
    world.answers[hook.address] = always(503)
    async with world.sending():
        await world.fail()
        [dead] = await world.until(hook, DEAD)
        assert (dead.attempts, len(dead.tries), dead.tries[-1].status) == (10, 10, 503)
        gaps = [since(after, before) for before, after in pairwise(world.got)]
        assert all(pause <= gap <= pause * (1 + JITTER) + SECOND for pause, gap in zip(PAUSES, gaps, strict=True))
        assert DAY - timedelta(hours=1) < since(world.got[-1], world.got[0]) < DAY * 1.2
        assert {(got.id, got.body) for got in world.got} == {(dead.event_id, dead.body)}
        world.answers[hook.address] = lambda _: OK
        await world.api.recorder.administer(Replay(webhook_id=hook.id, at=world.clock.now(), since=START))
        [sent] = await world.until(hook, DELIVERED)
    assert (sent.attempts, world.got[-1].id) == (11, dead.event_id)


async def test_a_receiver_that_wants_rest_is_left_alone(world: World) -> None:
    hook = await world.add(subscription())
    rest = START + timedelta(minutes=20)
    world.answers[hook.address] = lambda got: OK if got.at >= rest else judge(429, hold_until=rest)
    await world.fail("first")
    await world.fail("second")
    async with world.sending():
        await world.until(hook, DELIVERED, 2)
    assert all(got.at == START or got.at >= rest for got in world.got)
    assert world.outbox.webhook(hook.id).held_until is None


async def test_410_disables_at_once_and_the_owner_is_told(world: World) -> None:
    world.settings = world.settings.model_copy(update={"smtp_host": "mail.example"})
    gone = await world.add(subscription(contact="ada@example.org"))
    other = await world.add(subscription("https://other.example/in", events=[Told.DISABLED]))
    strangers = await world.add(subscription("https://bob.example/in", user="bob"))
    world.answers[gone.address] = always(410)
    async with world.sending():
        await world.fail()
        await world.until(other, DELIVERED)
        await eventually(lambda: any(got.address == "ada@example.org" for got in world.got))
        await world.until(gone, DELIVERED)  # the notice, which is kept with it
        await world.fail("another")
        await world.until(strangers, DELIVERED, 2)
    found = world.outbox.webhook(gone.id)
    assert (found.is_enabled, found.disabled_reason) == (False, "410: the receiver wants nothing more")
    assert [got.told for got in world.got if got.address == gone.address] == ["job.failed"]
    assert [message.state for message in world.messages(gone)] == [DEAD, DELIVERED]
    notice = next(got for got in world.got if got.address == other.address)
    assert (notice.told, notice.data["webhook"]["id"]) == ("webhook.disabled", gone.id)
    assert {got.told for got in world.got if got.address == strangers.address} == {"job.failed"}


async def test_disabled_after_days_of_failure_and_enabled_again(world: World) -> None:
    hook = await world.add(subscription())
    world.answers[hook.address] = always(500)
    async with world.sending():
        await world.fail()
        await world.until(hook, DEAD)  # a day later
        assert world.outbox.webhook(hook.id).is_enabled
        world.clock.advance(5 * DAY)
        await world.fail()
        await eventually(lambda: not world.outbox.webhook(hook.id).is_enabled)
        assert str(world.outbox.webhook(hook.id).disabled_reason).startswith("nothing was taken for 5 days")
        world.answers[hook.address] = lambda _: OK
        await world.api.recorder.administer(ChangeWebhook(id=hook.id, at=world.clock.now(), is_enabled=True))
        await world.fail("after it")
        await world.until(hook, DELIVERED)
    assert [message.state for message in world.messages(hook)] == [DEAD, DEAD, DELIVERED]
    assert world.outbox.webhook(hook.id).failing_since is None


async def test_what_happens_while_nobody_sends_is_told_later_and_once(world: World) -> None:
    hook = await world.add(subscription())
    ids = [await world.fail(str(number)) for number in range(5)]
    async with world.sending():
        await world.until(hook, DELIVERED, 5)
    ids += [await world.fail(str(number)) for number in range(5, 8)]
    for _ in range(2):  # the second finds nothing to do
        async with world.sending() as sender:
            await world.until(hook, DELIVERED, 8)
            await eventually(lambda: sender.collector.position == 16)
    assert [m.attempts for m in world.messages(hook)] == [1] * 8, [(g.id[-3:], g.at) for g in world.got]
    assert sorted(got.data["job"]["id"] for got in world.got) == sorted(ids)


async def test_nothing_from_before_it_was_made(world: World) -> None:
    await world.fail("before")
    hook = await world.add(subscription())
    async with world.sending():
        await world.fail("after")
        await world.until(hook, DELIVERED)
    assert [got.data["job"]["name"] for got in world.got] == ["after"]


async def test_progress_is_throttled_the_newest_is_told_and_a_failure_is_not_repeated(world: World) -> None:
    hook = await world.add(subscription(events=[Told.PROGRESS, Told.COMPLETED]))
    job = await world.api.create("fox")
    reports = Reports(job.id)
    await world.api.record(reports.started(), reports.progress(10))
    world.answers[hook.address] = lambda got: judge(500) if got.told == "job.progress" else OK
    async with world.sending():
        await eventually(lambda: len(world.got) == 1)
        for percent in (20, 30, 40):
            await world.api.record(reports.progress(percent))
        await eventually(lambda: len(world.got) == 2)
        await world.api.record(reports.progress(50), reports.succeeded())
        await world.until(hook, DELIVERED)
    told = [(got.told, got.data["job"]["progress_percent"]) for got in world.got]
    assert told == [("job.progress", 10.0), ("job.progress", 40.0), ("job.completed", 100.0)]
    assert since(world.got[1], world.got[0]) >= 10 * SECOND
    assert [message.told for message in world.messages(hook)] == [Told.COMPLETED]


async def test_alerts_and_filters(world: World) -> None:
    alerts = await world.add(subscription(events=[Told.ALERT]))
    of_bob = await world.add(subscription("https://bob.example/in", filter=JobFilter(users=("bob",))))
    async with world.sending():
        job_id = await world.fail("fox")
        told = EventFactory(job_id).alert(rule="prod", message="fox failed", job_ids=[job_id], at=START)
        await world.api.record(told)
        await world.until(alerts, DELIVERED)
        await world.fail("bobs", user="bob")
        await world.until(of_bob, DELIVERED)
    by_address = [(got.address, got.told) for got in world.got]
    assert by_address == [(alerts.address, "alert"), (of_bob.address, "job.failed")]
    assert world.got[0].data["event"] == {"rule": "prod", "message": "fox failed", "job_ids": [job_id]}


async def test_owners_are_told_only_of_what_they_may_see(world: World) -> None:
    world.settings = world.settings.model_copy(update={"access": "on", "shared_jobs": False})
    for name, role in (("root", Role.ADMIN), ("ada", Role.TRAINER), ("bob", Role.TRAINER), ("eve", Role.TRAINER)):
        await world.api.recorder.administer(AddUser(name=name, role=role, password_hash=None, at=START))
    await world.api.recorder.administer(ChangeUser(name="eve", is_active=False, at=START))
    hooks = {
        name: await world.add(subscription(f"https://{name}.example/", user=name))
        for name in ("root", "ada", "bob", "eve")
    }
    async with world.sending():
        await world.fail("adas", user="ada")
        await world.fail("bobs", user="bob")
        await world.fail("eves", user="eve")
        await world.until(hooks["root"], DELIVERED, 3)
        await world.until(hooks["bob"], DELIVERED)
        both = [
            got.data["job"]["id"] for got in world.got if "root" in got.address and got.data["job"]["name"] != "eves"
        ]
        told_of = EventFactory(both[0]).alert(rule="many", message="adas, bobs", job_ids=both, at=START)
        await world.api.record(told_of)
        await world.until(hooks["root"], DELIVERED, 4)
        assert [got.address for got in world.got if got.told == "alert"] == [hooks["root"].address]
    told = {name: {got.data["job"]["name"] for got in world.got if name in got.address} for name in hooks}
    assert told == {"root": {"adas", "bobs", "eves"}, "ada": {"adas"}, "bob": {"bobs"}, "eve": set()}


async def test_receivers_that_hang_delay_nobody_else(world: World) -> None:
    dead = [await world.add(subscription(f"https://dead{number}.example/")) for number in range(5)]
    well = await world.add(subscription())
    world.hang = {hook.address for hook in dead}
    async with world.sending() as sender:
        for number in range(20):
            await world.fail(str(number))
        await world.until(well, DELIVERED, 20)
        assert sender.courier.running == 5 * 4


async def test_one_that_is_removed_is_sent_nothing_more(world: World) -> None:
    hook = await world.add(subscription())
    other = await world.add(subscription("https://other.example/"))
    world.answers[hook.address] = always(500)
    async with world.sending():
        await world.fail()
        await eventually(lambda: len(world.got) >= 2)
        await world.api.recorder.administer(RemoveWebhook(id=hook.id, at=START))
        await world.fail()
        await world.until(other, DELIVERED, 2)
    assert [got.data["job"]["name"] for got in world.got if got.address == other.address] == ["a job"] * 2


async def test_a_fault_of_ours_is_an_attempt_that_failed(world: World) -> None:
    hook = await world.add(subscription(target=Target.SLACK))

    def broken_once(got: Got) -> Answer:
        if len(world.got) == 1:
            raise KeyError(got.id)
        return OK

    world.answers[hook.address] = broken_once
    async with world.sending():
        await world.fail()
        [sent] = await world.until(hook, DELIVERED)
    assert [attempt.problem for attempt in sent.tries] == ["could not be sent: KeyError", None]
