"""Mail over TLS, to a real server with a certificate of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from tests.fixtures.certificate import self_signed
from tests.fixtures.notify import START, subscription
from tests.fixtures.receivers import MailServer, mail_server
from thornback.jobs.subscriptions import Target, Told
from thornback.notify.answer import Answer, Verdict
from thornback.notify.envelope import write_envelope
from thornback.notify.targets import Mailer
from thornback.settings import Settings

Security = Literal["starttls", "tls"]


async def send(server: MailServer, home: Path, security: Security) -> Answer:
    data: dict[str, Any] = {"job": {"id": "1", "name": "fox", "kind": "lora", "backend": "ray", "user": "ada"}}
    settings = Settings(
        home=home,
        smtp_host="127.0.0.1",
        smtp_port=server.port,
        smtp_security=security,
        smtp_user="thornback",
        smtp_password="correct horse",
        smtp_from="train@example.org",
    )
    webhook = subscription("ada@example.org", target=Target.EMAIL)
    body = write_envelope("evt_1", Told.FAILED, data, START)
    return await Mailer(settings, timeout_s=10).send(webhook, webhook.address, "evt_1", body, START)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_is_sent_with_the_password(
    security: Security, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with mail_server(security, context) as server:
        answer = await send(server, tmp_path, security)
    assert answer.verdict is Verdict.TAKEN, answer.problem
    assert server.signed_in == [(b"thornback", b"correct horse")]
    assert [letter["To"] for letter in server.letters] == ["ada@example.org"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_that_nobody_vouches_for_learns_nothing(security: Security, tmp_path: Path) -> None:
    context, _ = self_signed(tmp_path)
    with mail_server(security, context) as server:
        answer = await send(server, tmp_path, security)
    assert answer.verdict is Verdict.AGAIN
    assert "certificate" in str(answer.problem).lower()
    assert (server.signed_in, server.letters) == ([], [])


async def test_a_certificate_of_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, trusted = self_signed(tmp_path, host="127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with mail_server("tls", context) as server:
        answer = await send(server, tmp_path, "tls")
    assert "mismatch" in str(answer.problem)
    assert server.signed_in == []


async def test_nothing_is_sent_in_plain_where_tls_was_asked_for(tmp_path: Path) -> None:
    with mail_server() as server:
        answer = await send(server, tmp_path, "starttls")
    assert answer.verdict is Verdict.AGAIN
    assert "STARTTLS" in str(answer.problem)
    assert (server.signed_in, server.letters) == ([], [])
