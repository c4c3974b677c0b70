"""What really goes over the wire, to real receivers and a real mail server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from tests.fixtures.notify import START, subscription
from tests.fixtures.receivers import Receiver, Reply, mail_server, receiving
from thornback.access.sealing import Sealer
from thornback.jobs.subscriptions import Target, Told, Webhook, new_secret
from thornback.net.client import GuardedClient
from thornback.net.rules import PUBLIC_ONLY, AddressRules, Allowed
from thornback.notify.answer import Answer, Verdict
from thornback.notify.envelope import trial_message, write_envelope
from thornback.notify.sign import signed
from thornback.notify.targets import Mailer, Poster
from thornback.settings import Settings

SEALER = Sealer(Settings(home=Path("/nonexistent")))  # these secrets are plain
LOOPBACK = AddressRules(allow=(Allowed.parse("127.0.0.1"),))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def post(webhook: Webhook, rules: AddressRules = LOOPBACK, now: datetime = START) -> Answer:
    message = trial_message(webhook, by="ada", at=START)
    async with GuardedClient(rules) as http:
        poster = Poster(http, timeout_s=0.5, sealer=SEALER)
        send = poster.slack if webhook.target is Target.SLACK else poster.webhook
        return await send(webhook, webhook.address, message.event_id, message.body, now)


async def test_the_reference_library_verifies_each_attempt(receiver: Receiver) -> None:
    webhook, now = subscription(receiver.url("/in")), datetime.now(UTC)
    for seconds in (0, 7):
        assert (await post(webhook, now=now + timedelta(seconds=seconds))).verdict is Verdict.TAKEN
    first, second = receiver.posts
    for got in (first, second):
        envelope = Verifier(str(webhook.secret)).verify(got.body, got.headers)
        assert (envelope["type"], got.path, got.headers["content-type"]) == ("webhook.test", "/in", "application/json")
        assert got.headers["webhook-id"] == envelope["id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_while_a_secret_is_replaced_both_sign() -> None:
    now = datetime.now(UTC)
    old, new = new_secret(), new_secret()
    webhook = replace(subscription(), secret=new, old_secret=old, old_secret_until=now + timedelta(hours=1))
    headers = dict(signed(webhook, "evt_1", "{}", now))
    for secret in (old, new):
        Verifier(secret).verify("{}", headers)
    later = dict(signed(webhook, "evt_1", "{}", now + timedelta(hours=1)))
    assert len(later["webhook-signature"].split()) == 1


@pytest.mark.parametrize(
    ("reply", "verdict", "problem"),
    [
        (Reply(status=503), Verdict.AGAIN, "503 Service Unavailable"),
        (Reply(status=410), Verdict.GONE, "410"),
        (Reply(after_s=None), Verdict.AGAIN, "no answer within 0.5 s"),
        (Reply(reset=True), Verdict.AGAIN, "Error"),
    ],
)
async def test_what_can_go_wrong(receiver: Receiver, reply: Reply, verdict: Verdict, problem: str) -> None:
    receiver.decide = lambda _: reply
    answer = await post(subscription(receiver.url()))
    assert answer.verdict is verdict
    assert problem in str(answer.problem)


async def test_a_redirect_is_a_failure_and_never_followed(receiver: Receiver) -> None:
    receiver.decide = lambda got: Reply(status=307, headers={"location": receiver.url("/secret")})
    answer = await post(subscription(receiver.url("/in")))
    assert (answer.verdict, answer.status) == (Verdict.AGAIN, 307)
    assert [got.path for got in receiver.posts] == ["/in"]


async def test_retry_after_is_heard_from_those_who_are_busy(receiver: Receiver) -> None:
    for status, hold in ((429, START + timedelta(minutes=2)), (503, START + timedelta(minutes=2)), (500, None)):
        receiver.decide = lambda _, status=status: Reply(status=status, headers={"retry-after": "120"})  # type: ignore[misc]
        assert (await post(subscription(receiver.url()))).hold_until == hold


async def test_private_addresses_are_not_reached(receiver: Receiver) -> None:
    for address in (receiver.url(), receiver.url().replace("127.0.0.1", "localhost"), "http://169.254.169.254/"):
        for target in (Target.WEBHOOK, Target.SLACK):
            answer = await post(subscription(address, target=target), rules=PUBLIC_ONLY)
            assert answer.verdict is Verdict.AGAIN
    assert receiver.posts == []


async def test_slack_gets_text_in_which_names_mention_nobody(receiver: Receiver) -> None:
    webhook = subscription(receiver.url(), target=Target.SLACK)
    data = {"job": {"id": "1", "name": "<!channel> & co", "kind": "lora", "backend": "ray", "user": "ada"}}
    body = write_envelope("evt_1", Told.FAILED, {**data, "event": {"message": "out of memory"}}, START)
    async with GuardedClient(LOOPBACK) as http:
        await Poster(http, timeout_s=1, sealer=SEALER).slack(webhook, webhook.address, "evt_1", body, START)
    text = orjson.loads(receiver.posts[0].body)["text"]
    assert text.splitlines()[:2] == ["*&lt;!channel&gt; &amp; co has failed*", "why: out of memory"]
    assert "webhook-signature" not in receiver.posts[0].headers


async def test_mail_is_sent_and_refusals_are_told_apart(tmp_path: Path) -> None:
    data = {"job": {"id": "1", "name": "fox\r\nBcc: eve@example.org", "kind": "lora", "backend": "ray", "user": "ada"}}
    body = write_envelope("evt_1", Told.FAILED, {**data, "event": {"message": "out of memory"}}, START)
    webhook = subscription("ada@example.org", target=Target.EMAIL)
    with mail_server() as server:
        settings = Settings(
            home=tmp_path,
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_security="none",
            smtp_from="Thornback <train@example.org>",
        )
        server.refuse = {"gone@example.org": "550 no such user", "full@example.org": "452 mailbox full"}
        mailer = Mailer(settings, timeout_s=5)
        answers = [
            await mailer.send(webhook, f"{name}@example.org", "evt_1", body, START) for name in ("ada", "gone", "full")
        ]
    assert [answer.verdict for answer in answers] == [Verdict.TAKEN, Verdict.NEVER, Verdict.AGAIN]
    [letter] = server.letters
    assert letter["Subject"] == "[thornback] fox Bcc: eve@example.org has failed"
    assert (letter["To"], letter["From"], letter["Bcc"]) == ("ada@example.org", "Thornback <train@example.org>", None)
    assert letter["Message-ID"] == "<evt_1@example.org>"
    assert "why: out of memory" in str(letter.get_payload())
    away = await mailer.send(webhook, "ada@example.org", "evt_1", body, START)
    assert away.verdict is Verdict.AGAIN


async def test_without_a_mail_server_it_says_what_to_set(tmp_path: Path) -> None:
    webhook = subscription("ada@example.org", target=Target.EMAIL)
    answer = await Mailer(Settings(home=tmp_path), timeout_s=1).send(webhook, webhook.address, "evt", "{}", START)
    assert "THORNBACK_SMTP_HOST" in str(answer.problem)
