"""When keys are asked for, and what happens while nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from thornback.webhooks.keys import MAX_AGE_S, REFRESH_S, RENEW_S, RETRY_S, KeyRing, KeysAway


class Owner:
    """Whoever publishes the keys, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.keys: Sequence[str] = ("old",)
        self.is_away = False
        self.ring = KeyRing(self.fetch, clock=lambda: self.now)

    async def fetch(self) -> Sequence[str]:
        self.asked += 1
        await asyncio.sleep(0)  # others get a turn, as they would
        if self.is_away:
            raise KeysAway("nobody is there")
        return self.keys


async def test_keys_are_asked_for_once_by_all_who_wait() -> None:
    owner = Owner()
    answers = await asyncio.gather(*(owner.ring.keys() for _ in range(20)))
    assert set(answers) == {("old",)}
    assert owner.asked == 1


async def test_keys_are_renewed_before_they_are_a_day_old() -> None:
    owner = Owner()
    await owner.ring.keys()
    owner.keys = ("new",)
    owner.now += RENEW_S - 1
    assert await owner.ring.keys() == ("old",)
    owner.now += 1
    assert await owner.ring.keys() == ("new",)


async def test_old_keys_serve_until_the_day_is_over_where_the_owner_is_away() -> None:
    owner = Owner()
    await owner.ring.keys()
    owner.is_away = True
    owner.now += MAX_AGE_S - 1
    assert await owner.ring.keys() == ("old",)
    owner.now += 1
    with pytest.raises(KeysAway):
        await owner.ring.keys()


async def test_an_owner_that_is_away_is_not_asked_with_every_webhook() -> None:
    owner = Owner()
    owner.is_away = True
    for _ in range(5):
        with pytest.raises(KeysAway, match="nobody is there"):
            await owner.ring.keys()
    assert owner.asked == 1
    owner.is_away = False
    owner.now += RETRY_S
    assert await owner.ring.keys() == ("old",)


async def test_forged_webhooks_cannot_make_us_ask_again_and_again() -> None:
    owner = Owner()
    await owner.ring.keys()
    assert await owner.ring.newer() is None  # fetched a moment ago
    owner.keys = ("new",)
    owner.now += REFRESH_S
    assert await owner.ring.newer() == ("new",)
    assert await owner.ring.newer() is None
    assert owner.asked == 2


async def test_whether_a_key_is_newer_cannot_be_said_while_the_owner_is_away() -> None:
    owner = Owner()
    await owner.ring.keys()
    owner.is_away = True
    owner.now += REFRESH_S
    with pytest.raises(KeysAway):
        await owner.ring.newer()
    assert await owner.ring.keys() == ("old",)  # the others go on
