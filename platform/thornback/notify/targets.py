"""The three targets behind one shape: how a message is posted or mailed, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

import aiosmtplib
import httpx
import orjson

import thornback
from thornback.access.sealing import Sealer
from thornback.errors import AddressRefused, SettingsError
from thornback.jobs.subscriptions import Target, Webhook
from thornback.net.client import GuardedClient, GuardedTransport
from thornback.net.rules import AddressRules
from thornback.notify.answer import Answer, Verdict, judge
from thornback.notify.schedule import read_retry_after
from thornback.notify.sign import signed
from thornback.notify.words import details, headline
from thornback.settings import Settings

TIMEOUT_S = 15.0
_AGENT = f"Thornback/{thornback.__version__} (webhooks)"
# Statuses that say by Retry-After when to come back.
_BUSY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT,
)

Send = Callable[[Webhook, str, str, str, datetime], Awaitable[Answer]]
"""Of the webhook, the address, the event's id, the body and the time; never raises what a receiver can cause."""


def transport(settings: Settings) -> GuardedTransport:
    """With a connection for each attempt that may be on its way. Raises SettingsError."""
    most = settings.notify_at_once
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=30.0)
    return GuardedTransport(AddressRules.of(settings), limits=limits)


def open_targets(http: GuardedClient, settings: Settings, *, timeout_s: float = TIMEOUT_S) -> Mapping[Target, Send]:
    """How to send to each kind of target; `timeout_s` is for a whole attempt, names and TLS included."""
    poster = Poster(http, timeout_s=timeout_s, sealer=Sealer(settings))
    return {
        Target.WEBHOOK: poster.webhook,
        Target.SLACK: poster.slack,
        Target.EMAIL: Mailer(settings, timeout_s=timeout_s).send,
    }


class Poster:
    """Posts through the address guard; no redirect is followed and no body of an answer is read."""

    def __init__(self, http: GuardedClient, *, timeout_s: float, sealer: Sealer) -> None:
        self._http, self._timeout_s, self._sealer = http, timeout_s, sealer

    async def webhook(self, webhook: Webhook, address: str, event_id: str, body: str, now: datetime) -> Answer:
        """Signed, as JSON."""
        try:
            secret, old = self._sealer.open(webhook.secret), self._sealer.open(webhook.old_secret)
        except SettingsError as error:
            return _failed(error.message)
        headers = signed(replace(webhook, secret=secret, old_secret=old), event_id, body, now)
        return await self._post(address, body.encode(), headers, now)

    async def slack(self, webhook: Webhook, address: str, event_id: str, body: str, now: datetime) -> Answer:
        """As Slack's incoming webhooks take it: `{"text": …}`, with what has a meaning there escaped."""
        envelope = orjson.loads(body)
        text = "\n".join([f"*{_escaped(headline(envelope))}*", *map(_escaped, details(envelope))])
        return await self._post(address, orjson.dumps({"text": text}), {}, now)

    async def _post(self, address: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Answer:
        headers = {**headers, "content-type": "application/json", "user-agent": _AGENT}
        try:
            async with asyncio.timeout(self._timeout_s):
                request = self._http.build_request("POST", address, content=body, headers=dict(headers))
                response = await self._http.send(request, stream=True, follow_redirects=False)
                await response.aclose()
        except TimeoutError:
            return _failed(f"no answer within {self._timeout_s:g} s")
        except AddressRefused as error:
            return _failed(error.message)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return _failed(f"{type(error).__name__}: {error}")
        asked = response.headers.get("retry-after") if response.status_code in _BUSY else None
        return judge(response.status_code, hold_until=read_retry_after(asked, now))


class Mailer:
    """E-mail over the SMTP server of the settings."""

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings, self._timeout_s = settings, timeout_s

    async def send(self, webhook: Webhook, address: str, event_id: str, body: str, now: datetime) -> Answer:
        """As plain text. A server that refuses the recipient for good ends the message."""
        settings = self._settings
        if not settings.smtp_host:
            return _failed("no SMTP server is set (THORNBACK_SMTP_HOST)")
        try:
            async with asyncio.timeout(self._timeout_s):
                await aiosmtplib.send(
                    self._letter(address, event_id, orjson.loads(body), now),
                    hostname=settings.smtp_host,
                    port=settings.smtp_port,
                    username=settings.smtp_user,
                    password=settings.smtp_password,
                    use_tls=settings.smtp_security == "tls",
                    start_tls=settings.smtp_security == "starttls",
                    timeout=self._timeout_s,
                )
        except TimeoutError:
            return _failed(f"the mail server did not answer within {self._timeout_s:g} s")
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _of_code(error.recipients[0].code, error.recipients[0].message)
        except aiosmtplib.SMTPDataError as error:
            return _of_code(error.code, error.message)
        except (aiosmtplib.SMTPException, OSError) as error:  # its operator can put right what it says of us
            return _failed(f"{type(error).__name__}: {error}")
        return Answer(verdict=Verdict.TAKEN, status=250)

    def _letter(self, address: str, event_id: str, envelope: Mapping[str, Any], now: datetime) -> EmailMessage:
        letter = EmailMessage()
        sender = self._settings.smtp_from or f"thornback@{self._settings.smtp_host}"
        letter["From"], letter["To"] = sender, address
        letter["Subject"] = f"[thornback] {headline(envelope)}"[:200]
        letter["Date"] = format_datetime(now)
        letter["Message-ID"] = f"<{event_id}@{sender.rpartition('@')[2].rstrip('>')}>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from absent people
        letter.set_content("\n".join(details(envelope)) + "\n")
        return letter


def _failed(problem: str) -> Answer:
    return Answer(verdict=Verdict.AGAIN, problem=problem[:500])


def _of_code(code: int, message: str) -> Answer:
    """RFC 5321: 4yz may work later, 5yz will not."""
    verdict = Verdict.NEVER if 500 <= code < 600 else Verdict.AGAIN
    return Answer(verdict=verdict, status=code, problem=f"{code} {message}"[:500])


def _escaped(text: str) -> str:
    """Slack's three characters: mentions and links must not come out of the name of a job."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
