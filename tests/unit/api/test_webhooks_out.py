"""Webhooks out over HTTP: made, changed, tried, their secrets, and what they were told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import ApiPlatform
from tests.fixtures.notify import START
from thornback.access.changes import AddKey, AddUser
from thornback.access.roles import Role
from thornback.access.sealing import Sealer
from thornback.access.tokens import KEY, new_token
from thornback.jobs.subscriptions import MessageState, NewMessage, Told, Try
from thornback.jobs.webhook_changes import Enqueue, Settle, Settled, Standing
from thornback.store.webhooks import WebhookReader

HOOKS = "/api/v1/webhooks"
HOOK = {"address": "https://example.org/hook"}


async def make(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(HOOKS, json=HOOK | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{HOOKS}/{made['id']}"
    return made


async def tell(api: ApiPlatform, hook_id: str, event_id: str, state: MessageState) -> int:
    """A message in a state."""
    new = NewMessage(webhook_id=hook_id, event_id=event_id, told=Told.FAILED, job_id=None, at=START, body='{"a": 1}')
    await api.recorder.administer(Enqueue(messages=(new,)))
    found = WebhookReader(api.reader.engine).find(hook_id, event_id)
    assert found is not None
    attempt = Try(at=START, status=500, problem="500", ms=3)
    ended = Settled(message_id=found.id, state=state, due_at=None, failures=10, attempt=attempt)
    await api.recorder.administer(Settle(settled=(ended,)))
    return found.id


async def test_made_seen_changed_and_removed(api: ApiPlatform) -> None:
    async with api.client() as client:
        made = await make(
            client, events=["job.failed", "job.failed"], filter={"kinds": ["lora"], "tags": {"env": "prod"}}
        )
        assert made["secret"].startswith("whsec_")
        kept = WebhookReader(api.reader.engine).webhook(made["id"]).secret
        assert kept is not None
        assert made["secret"] not in kept
        assert Sealer(api.settings).open(kept) == made["secret"]
        assert (made["user"], made["events"], made["is_enabled"]) == ("local", ["job.failed"], True)
        path = f"{HOOKS}/{made['id']}"
        seen = (await client.get(path)).json()
        assert seen == {name: value for name, value in made.items() if name != "secret"}
        assert (await client.get(HOOKS)).json() == {"webhooks": [seen]}
        change = {"events": ["alert"], "filter": {}, "contact": "ada@example.org", "is_enabled": False}
        changed = (await client.patch(path, json=change)).json()
        assert (changed["events"], changed["filter"]["kinds"], changed["is_enabled"]) == (["alert"], [], False)
        assert changed["disabled_reason"] is None
        assert (await client.post(f"{path}/test")).status_code == 409
        assert (await client.patch(path, json={"is_enabled": True, "contact": ""})).json()["contact"] is None
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404
        assert (await client.delete(path)).status_code == 404


async def test_the_secret_is_shown_once_and_replaced(api: ApiPlatform) -> None:
    async with api.client() as client:
        made = await make(client)
        path = f"{HOOKS}/{made['id']}"
        new = (await client.post(f"{path}/rotate", json={"keep_old_hours": 2})).json()
        assert new["secret"] != made["secret"]
        until = datetime.fromisoformat(new["old_secret_until"])
        assert timedelta(hours=1.9) < until - datetime.now(UTC) <= timedelta(hours=2)
        for text in ((await client.get(path)).text, (await client.get(HOOKS)).text):
            assert "whsec_" not in text
        slack = await make(client, target="slack", address="https://hooks.slack.com/services/T0/B0/secretsecret")
        assert (slack["secret"], slack["address"]) == (None, "https://hooks.slack.com/…cret")
        assert (await client.post(f"{HOOKS}/{slack['id']}/rotate")).status_code == 422


async def test_a_test_waits_to_be_sent(api: ApiPlatform) -> None:
    async with api.client() as client:
        made = await make(client)
        answer = await client.post(f"{HOOKS}/{made['id']}/test")
        message = answer.json()["message"]
        assert (answer.status_code, message["type"], message["state"]) == (202, "webhook.test", "waiting")
        detail = (await client.get(f"{HOOKS}/{made['id']}/messages/{message['id']}")).json()
        assert detail["body"]["id"] == message["event_id"]


async def test_the_log_its_dead_letters_and_replays(api: ApiPlatform) -> None:
    async with api.client() as client:
        made = await make(client)
        path = f"{HOOKS}/{made['id']}"
        dead = [await tell(api, made["id"], f"evt_{number}", MessageState.DEAD) for number in range(3)]
        sent = await tell(api, made["id"], "evt_sent", MessageState.DELIVERED)
        page = (await client.get(f"{path}/messages", params={"state": "dead", "limit": 2})).json()
        assert page["counts"] == {"dead": 3, "delivered": 1}
        assert [message["id"] for message in page["messages"]] == dead[:0:-1]
        assert page["messages"][0]["tries"] == [
            {"at": "2026-03-01T12:00:00Z", "status": 500, "problem": "500", "ms": 3.0}
        ]
        rest = (await client.get(f"{path}/messages", params={"state": "dead", "cursor": page["next_cursor"]})).json()
        assert [message["id"] for message in rest["messages"]] == dead[:1]
        one = await client.post(f"{path}/messages/{dead[0]}/replay")
        assert (one.status_code, one.json()["message"]["state"]) == (202, "waiting")
        assert (await client.post(f"{path}/messages/{dead[0]}/replay")).status_code == 409
        since = START.isoformat()
        assert (await client.post(f"{path}/replay", json={"since": since})).json() == {"replayed": 2}
        again = await client.post(f"{path}/replay", json={"since": since, "delivered_too": True})
        assert again.json() == {"replayed": 1}
        assert (await client.get(f"{path}/messages/{sent}")).json()["state"] == "waiting"
        assert (await client.get(f"{path}/messages/999")).status_code == 404
        assert (await client.post(f"{path}/replay", json={"since": "2026-03-01T12:00:00"})).status_code == 422


async def test_why_it_was_disabled_is_told(api: ApiPlatform) -> None:
    async with api.client() as client:
        made = await make(client)
        gone = Standing(webhook_id=made["id"], failing_since=START, failures=1, disable="410", at=START)
        await api.recorder.administer(Settle(settled=(), standings=(gone,)))
        seen = (await client.get(f"{HOOKS}/{made['id']}")).json()
        assert (seen["is_enabled"], seen["disabled_reason"], seen["failures"]) == (False, "410", 1)
        refused = await client.post(f"{HOOKS}/{made['id']}/test")
        assert "is disabled (410); enable it first" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"address": "http://127.0.0.1:9/"}, None),
        ({"address": "ftp://example.org/"}, None),
        ({"address": "https://user:pw@example.org/"}, None),
        ({"address": "http://169.254.169.254/latest"}, None),
        ({"address": ""}, "address"),
        ({"events": []}, "events"),
        ({"events": ["job.exploded"]}, "events.0"),
        ({"target": "pager"}, "target"),
        ({"target": "email", "address": "ada@example.org"}, "target"),  # no mail server is set
        ({"contact": "ada"}, "contact"),
        ({"filter": {"kind": ["lora"]}}, "filter.kind"),
        ({"filter": {"statuses": ["lost"]}}, "filter.statuses.0"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_a_webhook(api: ApiPlatform, body: dict[str, Any], field: str | None) -> None:
    async with api.client() as client:
        answer = await client.post(HOOKS, json=HOOK | body)
        assert answer.status_code == 422, answer.text
        if field is not None:
            assert answer.json()["errors"][0]["field"] == field
        else:
            assert answer.json()["code"] == "address_refused"
        assert (await client.get(HOOKS)).json() == {"webhooks": []}


async def test_mail_where_there_is_a_server_for_it(api: ApiPlatform, tmp_path: Path) -> None:
    async with api.client(smtp_host="mail.example") as client:
        made = await make(client, target="email", address=" ada@example.org ")
        assert (made["address"], made["secret"]) == ("ada@example.org", None)
        refused = await client.post(HOOKS, json={"target": "email", "address": "Ada <ada@example.org>"})
        assert refused.json()["errors"][0]["field"] == "address"


async def test_everybody_has_their_own_and_an_admin_all(api: ApiPlatform) -> None:
    keys = {}
    for name, role in (("root", Role.ADMIN), ("ada", Role.TRAINER), ("bob", Role.TRAINER), ("eve", Role.VIEWER)):
        await api.recorder.administer(AddUser(name=name, role=role, password_hash=None, at=START))
        token = new_token(KEY)
        await api.recorder.administer(
            AddKey(id=token.id, user=name, digest=token.digest, label="x", role=None, at=START, expires_at=None)
        )
        keys[name] = {"Authorization": f"Bearer {token.text}"}
    async with api.client(access="on") as client:
        made = (await client.post(HOOKS, json=HOOK, headers=keys["ada"])).json()
        path = f"{HOOKS}/{made['id']}"
        assert (await client.post(HOOKS, json=HOOK, headers=keys["eve"])).status_code == 403
        for name, status in (("ada", 200), ("root", 200), ("bob", 404), ("eve", 404)):
            for asked in (path, f"{path}/messages"):
                assert (await client.get(asked, headers=keys[name])).status_code == status
        for verb, asked in (("DELETE", path), ("POST", f"{path}/rotate"), ("POST", f"{path}/test")):
            assert (await client.request(verb, asked, headers=keys["bob"])).status_code == 404
        assert len((await client.get(HOOKS, headers=keys["root"])).json()["webhooks"]) == 1
        assert (await client.get(HOOKS, headers=keys["bob"])).json() == {"webhooks": []}
        assert (await client.get(HOOKS)).status_code == 401
