"""Clients that send too much over a WebSocket, or hold too many."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any

import websockets

from serve_apps.api.flood import MESSAGES_AT_ONCE, MESSAGES_PER_S, Allowance
from tests.fixtures.api import ApiPlatform, eventually, serving
from tests.integration.api.test_socket import connected, streams
from thornback.access.changes import AddKey, AddUser
from thornback.access.roles import Role
from thornback.access.tokens import KEY, new_token


async def made_key(api: ApiPlatform, user: str) -> str:
    token, at = new_token(KEY), datetime.now(UTC)
    await api.recorder.administer(AddUser(name=user, role=Role.TRAINER, password_hash=None, at=at))
    await api.recorder.administer(
        AddKey(id=token.id, user=user, digest=token.digest, label="test", role=None, at=at, expires_at=None)
    )
    return token.text


def test_an_allowance_fills_by_itself() -> None:
    now = 0.0
    allowance = Allowance(lambda: now)
    assert [allowance.take() for _ in range(MESSAGES_AT_ONCE + 1)] == [True] * MESSAGES_AT_ONCE + [False]
    taken = 0
    for tick in range(1, 1281):
        now = tick / 128
        taken += allowance.take()
    assert taken == int(MESSAGES_PER_S * 10)


async def test_a_client_that_sends_too_much_is_closed_with_a_code(api: ApiPlatform) -> None:
    job = await api.create()
    async with serving(api.app()) as address:
        for messages, code in ((['{"event": "ping"}'] * 500, 1008), (["x" * 70_000], 1009)):
            async with connected(address, job.id) as client:
                await client.next_of("training_status")
                with suppress(websockets.ConnectionClosed):
                    for message in messages:
                        await client.socket.send(message)
                answers, closed = await client.rest()
            assert closed == code
            assert len(answers) <= MESSAGES_AT_ONCE + 10
        async with connected(address, job.id) as other:
            await other.socket.send('{"event": "ping"}')
            assert await other.next_of("pong"), "others are served as before"


async def test_one_user_does_not_take_all_places(api: ApiPlatform) -> None:
    job = await api.create(user="one")
    keys = {name: await made_key(api, name) for name in ("one", "two")}
    app = api.app(access="on", max_streams_per_user=2)

    def as_user(name: str) -> dict[str, Any]:
        return {"additional_headers": {"Authorization": f"Bearer {keys[name]}"}}

    async with serving(app) as address, AsyncExitStack() as stack:
        for _ in range(2):
            await (await stack.enter_async_context(connected(address, job.id, **as_user("one")))).next_of("connected")
        async with connected(address, job.id, **as_user("one")) as third:
            messages, code = await third.rest()
            assert (messages[0]["code"], code) == ("too_many_streams", 1013)
        async with connected(address, job.id, **as_user("two")) as other:
            await other.next_of("connected")
        await stack.aclose()
        await eventually(lambda: streams(app) == 0)
        async with connected(address, job.id, **as_user("one")) as again:
            await again.next_of("connected")
