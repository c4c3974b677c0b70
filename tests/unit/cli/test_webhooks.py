"""`thornback webhooks` against a real API, a real sender and a real receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from typer.testing import Result

from tests.fixtures.receivers import Receiver, Reply, receiving
from tests.unit.cli.conftest import LiveApi
from thornback.cli.webhooks import read_filters
from thornback.errors import InvalidInput
from thornback.net.client import GuardedClient
from thornback.notify.clock import SystemClock
from thornback.notify.sender import Sender
from thornback.notify.targets import open_targets, transport

Cli = Callable[..., Result]


@pytest.fixture
def receiver(live: LiveApi) -> Iterator[Receiver]:
    """Beside a sender on the platform's loop."""
    live.stop_server()
    live.start_server(fetch_allow="127.0.0.1")
    stack = AsyncExitStack()
    yield live.run(stack.enter_async_context(_sending(live)))
    live.run(stack.aclose())


@asynccontextmanager
async def _sending(live: LiveApi) -> Any:
    settings = live.platform.settings.model_copy(update={"fetch_allow": "127.0.0.1", "access": "off"})
    async with receiving() as receiver, GuardedClient(transport=transport(settings)) as http:
        sender = Sender(
            recorder=live.platform.recorder,
            engine=live.platform.reader.engine,
            targets=open_targets(http, settings),
            settings=settings,
            clock=SystemClock(),
        )
        task = asyncio.create_task(sender.run())
        yield receiver
        task.cancel()
        await asyncio.wait([task])


def parsed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_made_tried_seen_and_removed(receiver: Receiver, run_cli: Cli) -> None:
    url = receiver.url("/in")
    made = parsed(run_cli("webhooks", "add", url, "--event", "job.failed", "--only", "tag.env=prod", "--json"))
    hook = made["id"]
    sent = parsed(run_cli("webhooks", "test", hook, "--json"))
    assert (sent["state"], sent["tries"][0]["status"]) == ("delivered", 200)
    [got] = receiver.posts
    assert Verifier(made["secret"]).verify(got.body, got.headers)["type"] == "webhook.test"
    new = parsed(run_cli("webhooks", "rotate", hook, "--json"))
    assert "taken (200)" in run_cli("webhooks", "test", hook).stdout
    for secret in (made["secret"], new["secret"]):
        Verifier(secret).verify(receiver.posts[1].body, receiver.posts[1].headers)
    assert hook in run_cli("webhooks", "list").stdout
    assert "whsec_" not in run_cli("webhooks", "show", hook).stdout
    assert parsed(run_cli("webhooks", "show", hook, "--json"))["filter"]["tags"] == {"env": "prod"}
    disabled = parsed(run_cli("webhooks", "change", hook, "--disable", "--event", "alert", "--json"))
    assert (disabled["is_enabled"], disabled["events"]) == (False, ["alert"])
    assert "enable it first" in run_cli("webhooks", "test", hook).output
    assert run_cli("webhooks", "remove", hook).exit_code == 0
    assert parsed(run_cli("webhooks", "list", "--json")) == {"webhooks": []}


def test_a_failed_test_says_why_and_messages_are_replayed(receiver: Receiver, run_cli: Cli) -> None:
    receiver.decide = lambda _: Reply(status=302, headers={"location": "/other"})
    hook = parsed(run_cli("webhooks", "add", receiver.url(), "--json"))["id"]
    failed = run_cli("webhooks", "test", hook)
    assert failed.exit_code == 1
    assert "302: redirects are not followed" in failed.output
    run_cli("webhooks", "change", hook, "--disable")
    run_cli("webhooks", "change", hook, "--enable")
    [dead] = parsed(run_cli("webhooks", "messages", hook, "--state", "dead", "--json"))["messages"]
    assert dead["tries"][-1]["problem"] == "the webhook was disabled before this could be sent"
    assert "redirects are not followed" in run_cli("webhooks", "message", hook, dead["id"]).output
    assert "webhook.test" in run_cli("webhooks", "messages", hook).stdout
    receiver.decide = lambda _: Reply()
    assert parsed(run_cli("webhooks", "replay", hook, "--since", "1h", "--json")) == {"replayed": 1}
    assert run_cli("webhooks", "replay", hook).exit_code == 2
    assert run_cli("webhooks", "replay", hook, dead["id"], "--since", "1h").exit_code == 2


@pytest.mark.parametrize("word", ["lora", "kind=", "colour=red", "tag.=x", "=x"])
def test_what_is_no_filter(word: str) -> None:
    with pytest.raises(InvalidInput, match="only"):
        read_filters([word])


def test_filters_as_the_api_takes_them() -> None:
    words = ["kind=lora", "kind=convnext", "status=failed", "tag.env=a=b"]
    assert read_filters(words) == {"kinds": ["lora", "convnext"], "statuses": ["failed"], "tags": {"env": "a=b"}}
