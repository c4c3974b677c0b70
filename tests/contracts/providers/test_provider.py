"""What every provider must do, whatever it speaks; above all, take one order once."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.contracts.providers.bench import Bench
from thornback.errors import AnswerLost, OrderUnknown, ProviderRefused, ProviderUnavailable
from thornback.providers.port import OrderPhase

NONE_KNOWN: frozenset[str] = frozenset()
LONG_S = 3600.0  # longer than an order can be on its way


async def test_an_order_is_taken_and_can_be_looked_at(bench: Bench) -> None:
    sent = await bench.provider.submit(bench.order())
    assert (sent.provider, sent.phase) == (bench.provider.name, OrderPhase.STARTING)
    assert bench.far.taken() == 1
    seen = await bench.look(sent.provider_id)
    assert (seen.provider_id, seen.phase) == (sent.provider_id, OrderPhase.STARTING)


async def test_it_begins_and_succeeds(bench: Bench) -> None:
    provider_id = (await bench.provider.submit(bench.order())).provider_id
    await bench.far.begin(provider_id)
    assert (await bench.look(provider_id)).phase is OrderPhase.PROCESSING
    await bench.far.succeed(provider_id)
    seen = await bench.look(provider_id)
    assert seen.phase is OrderPhase.SUCCEEDED
    assert seen.outputs
    assert all(address.startswith(("http://", "https://")) for address in seen.outputs)
    assert seen.error is None


async def test_it_fails_and_says_why(bench: Bench) -> None:
    bench.before_failing()
    provider_id = (await bench.provider.submit(bench.order())).provider_id
    await bench.far.fail(provider_id)
    seen = await bench.look(provider_id)
    assert seen.phase is OrderPhase.FAILED
    assert seen.error
    assert seen.outputs == ()


async def test_it_is_cancelled_and_cancelling_again_is_no_error(bench: Bench) -> None:
    provider_id = (await bench.provider.submit(bench.order())).provider_id
    for _ in range(2):
        await bench.provider.cancel(bench.endpoint, bench.call, provider_id)
    assert (await bench.look(provider_id)).phase is OrderPhase.CANCELLED


async def test_cancelling_what_has_succeeded_changes_nothing(bench: Bench) -> None:
    provider_id = (await bench.provider.submit(bench.order())).provider_id
    await bench.far.succeed(provider_id)
    await bench.provider.cancel(bench.endpoint, bench.call, provider_id)
    assert (await bench.look(provider_id)).phase is OrderPhase.SUCCEEDED


async def test_nobody_is_paid_twice_when_the_answer_is_lost(bench: Bench) -> None:
    """The connection drops after the provider took the order: one request, one order, and it is found."""
    order = bench.order()
    bench.far.lose_the_answer()
    with pytest.raises(AnswerLost):
        await bench.provider.submit(order)
    assert bench.far.taken() == 1
    if not bench.lists_unfinished:
        with pytest.raises(ProviderUnavailable):  # so it is not sent again
            await bench.provider.find(order, known=NONE_KNOWN)
        await bench.far.succeed("")
    found = await bench.provider.find(order, known=NONE_KNOWN)
    assert found is not None
    assert bench.far.taken() == 1
    assert (await bench.look(found.provider_id)).provider_id == found.provider_id


async def test_an_order_that_did_not_arrive_is_ruled_out_or_waited_for(bench: Bench) -> None:
    order = bench.order()
    bench.far.drop()
    with pytest.raises(AnswerLost):
        await bench.provider.submit(order)
    assert bench.far.taken() == 0
    bench.clock.pass_s(LONG_S)
    with nullcontext() if bench.rules_out else pytest.raises(ProviderUnavailable):
        assert await bench.provider.find(order, known=NONE_KNOWN) is None
    assert bench.far.taken() == 0


async def test_of_two_equal_orders_the_one_that_is_known_is_not_found(bench: Bench) -> None:
    first = (await bench.provider.submit(bench.order(item=1))).provider_id
    lost = bench.order(item=2)
    bench.far.lose_the_answer()
    with pytest.raises(AnswerLost):
        await bench.provider.submit(lost)
    await bench.far.succeed("")
    found = await bench.provider.find(lost, known=frozenset({first}))
    assert found is not None
    assert found.provider_id != first
    with nullcontext() if bench.rules_out else pytest.raises(ProviderUnavailable):
        bench.clock.pass_s(LONG_S)
        assert await bench.provider.find(lost, known=frozenset({first, found.provider_id})) is None


async def test_an_order_with_other_inputs_is_another(bench: Bench) -> None:
    other = await bench.provider.submit(bench.order(prompt="a hat"))
    await bench.far.succeed(other.provider_id)
    wanted = bench.order()
    bench.clock.pass_s(LONG_S)
    with nullcontext() if bench.rules_out else pytest.raises(ProviderUnavailable):
        assert await bench.provider.find(wanted, known=NONE_KNOWN) is None


async def test_a_limit_says_how_long_and_nothing_was_taken(bench: Bench) -> None:
    bench.far.limit()
    with pytest.raises(ProviderUnavailable) as caught:
        await bench.provider.submit(bench.order())
    assert caught.value.details["retry_after_s"] > 0
    assert bench.far.taken() == 0


async def test_a_refusal_is_not_taken_and_keeps_the_providers_words(bench: Bench) -> None:
    bench.far.refuse()
    with pytest.raises(ProviderRefused) as caught:
        await bench.provider.submit(bench.order())
    assert caught.value.details["provider"] == bench.provider.name
    assert caught.value.details["text"]
    assert bench.far.taken() == 0


async def test_an_order_that_nobody_knows(bench: Bench) -> None:
    with pytest.raises(OrderUnknown):
        await bench.look("no-such-order")
    with pytest.raises(OrderUnknown):
        await bench.provider.cancel(bench.endpoint, bench.call, "no-such-order")


async def test_many_orders_at_once_are_as_many_orders(bench: Bench) -> None:
    orders = [bench.order(item=number, prompt=f"portrait {number}") for number in range(1, 41)]
    sent = await asyncio.gather(*(bench.provider.submit(order) for order in orders))
    assert len({sighting.provider_id for sighting in sent}) == 40
    assert bench.far.taken() == 40


async def test_a_file_gets_an_address(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    file.write_bytes(b"PK\x05\x06" + bytes(18))
    address = await bench.provider.upload(file, content_type="application/zip")
    assert address.startswith(("http://", "https://"))


async def test_it_is_well(bench: Bench) -> None:
    health = bench.provider.health()
    assert (health.provider, health.breaker, health.failures) == (bench.provider.name, "closed", 0)
