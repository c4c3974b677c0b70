"""How many requests one key and one address may send."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from serve_apps.api import windows as windows_module
from serve_apps.api.principal import COOKIE
from serve_apps.api.rates import RateGate, Rates, are_counted, class_of
from serve_apps.api.windows import Windows
from tests.fixtures.api import JOBS, ApiPlatform
from thornback.errors import SettingsError
from thornback.settings import Settings


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def scope(
    path: str = JOBS, method: str = "GET", *, address: str = "192.0.2.7", query: str = "", **headers: str
) -> Scope:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "headers": raw,
        "query_string": query.encode(),
        "client": (address, 1234),
    }


def rates(clock: Clock | None = None, proxies: tuple[str, ...] = (), **limits: str) -> Rates:
    settings = Settings.model_validate({"rate_limits": limits, "trusted_proxies": list(proxies)})
    return Rates(settings, clock=clock or Clock())


def allowed(counted: Rates, request: Scope) -> bool:
    verdict = counted.count(request)
    assert verdict is not None
    return verdict.allowed


async def test_exact_in_10_000_concurrent_calls() -> None:
    served = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal served
        await asyncio.sleep(0)
        served += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    gate = RateGate(app, rates=rates(reads="4321/hour", address="100000/hour"))
    statuses: list[int] = []

    async def call() -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await gate(scope(authorization="Bearer tbk_one"), receive, send)

    await asyncio.gather(*(call() for _ in range(10_000)))
    assert (served, statuses.count(200), statuses.count(429)) == (4321, 4321, 5679)


def test_exact_from_many_threads() -> None:
    windows, taken = Windows(Clock()), []

    def take() -> None:
        taken.append(sum(windows.acquire_entry("key", 3000, 60) for _ in range(1250)))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 3000


def test_the_window_moves() -> None:
    clock = Clock()
    counted = rates(clock, reads="3/minute")
    for second in (0, 20, 40):
        clock.now = 1000.0 + second
        assert allowed(counted, scope())
    verdict = counted.count(scope())
    assert verdict is not None
    assert (verdict.allowed, verdict.left, verdict.reset_s) == (False, 0, 20)
    clock.now = 1059.9
    assert not allowed(counted, scope())
    clock.now = 1060.0
    assert allowed(counted, scope())  # the first of them has left the window, and no other
    assert not allowed(counted, scope())


def test_keys_cookies_and_tickets_have_windows_of_their_own() -> None:
    counted = rates(reads="1/minute")
    ways: list[Scope] = [
        scope(authorization="Bearer tbk_a"),
        scope(authorization="Bearer tbk_b"),
        scope(cookie=f"theme=dark; {COOKIE}=tbs_c"),
        scope(query="ticket=t1"),
        scope(),
    ]
    assert [allowed(counted, way) for way in ways] == [True] * 5
    assert [allowed(counted, way) for way in ways] == [False] * 5
    # the same key however it is written, and from wherever it comes
    assert not allowed(counted, scope(authorization="bearer   tbk_a ", address="192.0.2.99"))


def test_made_up_keys_are_stopped_by_their_address() -> None:
    counted = rates(reads="5/minute", address="50/minute")
    let_in = sum(allowed(counted, scope(authorization=f"Bearer tbk_{number}")) for number in range(200))
    assert let_in == 50
    assert allowed(counted, scope(address="192.0.2.8"))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", JOBS, "reads"),
        ("HEAD", "/api/v1/uploads/x", "reads"),
        ("POST", JOBS, "creates"),
        ("DELETE", f"{JOBS}/x", "creates"),
        ("PATCH", "/api/v1/uploads/x", "uploads"),
        ("POST", "/api/v1/datasets", "uploads"),
        ("POST", "/api/v1/session", "sign_in"),
        ("DELETE", "/api/v1/session", "creates"),
    ],
)
def test_classes(method: str, path: str, expected: str) -> None:
    assert class_of(scope(path, method)) == expected


def test_signed_webhooks_and_probes_are_not_counted() -> None:
    counted = rates(address="1/hour")
    for _ in range(3):
        assert counted.count(scope("/api/v1/webhooks/replicate", "POST")) is None
        assert counted.count(scope("/healthz")) is None
    assert allowed(counted, scope("/index.html"))
    assert not allowed(counted, scope("/index.html"))


def test_sign_in_is_counted_by_address_whatever_is_sent_along() -> None:
    counted = rates(sign_in="2/minute")
    tries = [scope("/api/v1/session", "POST", authorization=f"Bearer {number}") for number in range(3)]
    assert [allowed(counted, one) for one in tries] == [True, True, False]


@pytest.mark.parametrize(
    ("peer", "told", "same_as"),
    [
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # whoever is no proxy of ours is believed nothing
        ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "1.1.1.1, 198.51.100.1, 10.0.0.9", "198.51.100.1"),  # what stands before it anybody can write
        ("10.0.0.2", "", "10.0.0.2"),
        ("2001:db8:1:2::5", "", "2001:db8:1:2:ffff::9"),  # a /64 is one customer
        ("::ffff:192.0.2.7", "", "192.0.2.7"),
    ],
)
def test_addresses(peer: str, told: str, same_as: str) -> None:
    counted = rates(None, ("10.0.0.0/8",), reads="1/minute")
    assert allowed(counted, scope(address=peer, x_forwarded_for=told))
    assert not allowed(counted, scope(address=same_as))


def test_replicas_share_a_limit() -> None:
    settings = Settings.model_validate({"rate_limits": {"reads": "10/minute"}, "rate_replicas": 4})
    replicas = [Rates(settings, clock=Clock()) for _ in range(4)]
    assert sum(allowed(replica, scope()) for replica in replicas for _ in range(10)) == 8


def test_memory_is_bounded_and_the_quiet_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "MOST_KEYS", 700)
    clock = Clock()
    windows = Windows(clock)
    for number in range(1000):
        windows.acquire_entry(f"key {number}", 10, 60)
    clock.now += 61
    for number in range(600):
        windows.acquire_entry(f"new {number}", 10, 60)
    assert len(windows) <= 601
    for number in range(2000):
        windows.acquire_entry(f"more {number}", 10, 60)
    assert len(windows) <= 701
    assert windows.get("more 1999") == 1


@pytest.mark.parametrize("fields", [{"rate_limits": {"reads": "many"}}, {"trusted_proxies": ["here"]}])
def test_wrong_settings_are_named(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"THORNBACK_(RATE_LIMITS|TRUSTED_PROXIES)"):
        Rates(Settings.model_validate(fields))


def test_on_where_access_is() -> None:
    def counted(**fields: Any) -> bool:
        return are_counted(Settings.model_validate(fields))

    assert [counted(), counted(host="0.0.0.0"), counted(access="on")] == [False, True, True]
    assert [counted(rate_limit="on"), counted(access="on", rate_limit="off")] == [True, False]


async def test_a_problem_says_when_to_come_back(api: ApiPlatform) -> None:
    async with api.client(rate_limit="on", rate_limits={"reads": "2/hour"}) as client:
        first = await client.get(JOBS)
        assert first.headers["RateLimit-Policy"] == '"reads";q=2;w=3600'
        assert first.headers["RateLimit"] == '"reads";r=1;t=3600'
        await client.get(JOBS)
        refused = await client.get(JOBS)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert 3590 <= int(refused.headers["Retry-After"]) <= 3600
        assert refused.headers["RateLimit"].startswith('"reads";r=0;')
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
        problem = refused.json()
        assert (problem["code"], problem["limit"], problem["window_s"]) == ("too_many_requests", 2, 3600)
        assert (await client.post(JOBS, json={"job_name": "x"})).status_code == 201
    async with api.client() as client:
        assert "RateLimit" not in (await client.get(JOBS)).headers
