from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.unit.providers.make import Clock
from thornback.errors import AnswerLost, OrderUnknown, ProviderRefused, ProviderUnavailable
from thornback.providers.breaker import Breaker
from thornback.providers.calls import Calls
from thornback.providers.faults import Fault, NoAnswer, Refusal
from thornback.providers.reading import load_body


class Script:
    """A call that fails as told, and then works."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return "done"


LOST = NoAnswer("dropped", sent=True)
AWAY = NoAnswer("no route", sent=False)
LIMITED = Refusal(429, {"retry-after": "20"}, b"{}")
REFUSED = Refusal(422, {}, b'{"detail": "no"}')


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def make(clock: Clock, slept: list[float]) -> Callable[..., Calls]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def build(**breaker: float) -> Calls:
        return Calls(
            "fal",
            clock,
            orders_per_minute=600,
            questions_per_minute=3000,
            breaker=Breaker("fal", **breaker),  # type: ignore[arg-type]
            sleep=sleep,
        )

    return build


async def test_an_order_is_sent_once_whatever_happens(make: Callable[..., Calls], slept: list[float]) -> None:
    for fault, error in ((LOST, AnswerLost), (AWAY, ProviderUnavailable), (REFUSED, ProviderRefused)):
        script = Script(fault)
        with pytest.raises(error):
            await make().order(script)
        assert script.calls == 1
    assert slept == []


async def test_a_question_is_asked_again_while_the_provider_is_in_trouble(
    make: Callable[..., Calls], slept: list[float]
) -> None:
    script = Script(LOST, AWAY)
    assert await make().ask(script) == "done"
    assert script.calls == 3
    assert len(slept) == 2
    assert all(0 <= seconds <= 2 for seconds in slept)


async def test_a_question_is_not_asked_for_ever(make: Callable[..., Calls]) -> None:
    script = Script(*[LOST] * 9)
    with pytest.raises(ProviderUnavailable, match="dropped"):
        await make().ask(script)
    assert script.calls == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [(REFUSED, ProviderRefused), (Refusal(404, {}, b""), OrderUnknown), (LIMITED, ProviderUnavailable)],
)
async def test_asking_again_does_not_help_here(
    make: Callable[..., Calls], fault: Fault, error: type[Exception]
) -> None:
    script = Script(fault)
    with pytest.raises(error):
        await make().ask(script)
    assert script.calls == 1


async def test_an_answer_that_cannot_be_read_may_be_of_an_order_that_was_taken(make: Callable[..., Calls]) -> None:
    async def send() -> object:
        return load_body(b"<html>")

    with pytest.raises(AnswerLost, match="cannot be read"):
        await make().order(send)


async def test_a_call_that_hangs_is_given_up(make: Callable[..., Calls]) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ProviderUnavailable, match="nothing within"):
        await make().ask(hang, within_s=0.0)


async def test_a_limit_holds_back_what_comes_after_it(make: Callable[..., Calls], clock: Clock) -> None:
    calls = make()
    with pytest.raises(ProviderUnavailable):
        await calls.order(Script(LIMITED))
    clock.pass_s(5)
    script = Script()
    with pytest.raises(ProviderUnavailable) as caught:
        await calls.order(script)
    assert script.calls == 0
    assert caught.value.details["retry_after_s"] == 15.0
    assert await calls.ask(script) == "done"  # questions have a limit of their own
    assert calls.health().limited_until is not None
    clock.pass_s(15.1)
    assert await calls.order(script) == "done"
    assert calls.health().limited_until is None


async def test_after_a_limit_orders_go_one_by_one(make: Callable[..., Calls], clock: Clock) -> None:
    """What waited for its end must not run into the next limit together."""
    calls = make()
    with pytest.raises(ProviderUnavailable):
        await calls.order(Script(LIMITED))
    clock.pass_s(21)
    begun, go_on = [], asyncio.Event()

    async def send() -> None:
        begun.append(clock())
        await go_on.wait()
        raise LIMITED

    orders = [asyncio.create_task(calls.order(send)) for _ in range(5)]
    for _ in range(20):  # more turns of the loop than all five need
        await asyncio.sleep(0)
    assert len(begun) == 1  # the others wait for their second
    go_on.set()
    done, waiting = await asyncio.wait(orders, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(done.pop().exception(), ProviderUnavailable)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(begun) == 1


async def test_five_faults_in_a_row_open_the_breaker(make: Callable[..., Calls]) -> None:
    calls = make()
    for _ in range(5):
        with pytest.raises(AnswerLost):
            await calls.order(Script(LOST))
    script = Script()
    with pytest.raises(ProviderUnavailable, match="left alone until") as caught:
        await calls.order(script)
    assert script.calls == 0
    health = calls.health()
    assert (health.breaker, health.failures) == ("open", 5)
    assert health.retry_at is not None
    assert caught.value.details["retry_at"] == health.retry_at.isoformat()
    assert 0 < caught.value.details["retry_after_s"] <= 30
    assert "dropped" in str(health.last_error)


async def test_a_clock_that_is_set_back_does_not_keep_the_breaker_open(
    make: Callable[..., Calls], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = make(open_s=0.001), time.time
    for _ in range(5):
        with pytest.raises(AnswerLost):
            await calls.order(Script(LOST))
    monkeypatch.setattr("time.time", lambda: real() - 3600)
    with pytest.raises(ProviderUnavailable):
        await calls.order(Script())  # its pause begins anew
    monkeypatch.setattr("time.time", lambda: real() - 3599)
    assert await calls.order(Script()) == "done"


async def test_what_the_provider_refuses_or_limits_opens_nothing(make: Callable[..., Calls]) -> None:
    calls = make(faults=2)
    for fault in (LOST, REFUSED, LOST, Refusal(429, {"retry-after": "0"}, b""), LOST):
        with pytest.raises((AnswerLost, ProviderRefused, ProviderUnavailable)):
            await calls.ask(Script(fault, fault, fault)) if fault is REFUSED else await calls.order(Script(fault))
    assert calls.health().breaker == "closed"


async def test_one_probe_at_a_time_and_its_success_closes_the_breaker(make: Callable[..., Calls]) -> None:
    calls = make(faults=1, open_s=0.0)
    with pytest.raises(AnswerLost):
        await calls.order(Script(LOST))
    assert calls.health().breaker == "half-open"
    probing, go_on = asyncio.Event(), asyncio.Event()

    async def probe() -> str:
        probing.set()
        await go_on.wait()
        return "done"

    first = asyncio.create_task(calls.order(probe))
    await probing.wait()
    second = Script()
    with pytest.raises(ProviderUnavailable):
        await calls.order(second)
    assert second.calls == 0
    go_on.set()
    assert await first == "done"
    assert calls.health().breaker == "closed"
    assert await calls.order(second) == "done"


async def test_a_probe_that_fails_opens_it_again_and_one_that_is_cancelled_does_not(
    make: Callable[..., Calls],
) -> None:
    calls = make(faults=1, open_s=0.0)
    with pytest.raises(AnswerLost):
        await calls.order(Script(LOST))

    async def hang() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(calls.order(hang))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(AnswerLost):
        await calls.order(Script(LOST))
    assert calls.health().failures == 1
    assert calls.health().breaker == "half-open"
