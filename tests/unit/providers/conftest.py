from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.unit.providers.make import Clock
from thornback.providers.calls import Calls
from thornback.providers.fal import FalProvider
from thornback.providers.replicate import ReplicateProvider
from thornback.settings import Settings

AnyProvider = TypeVar("AnyProvider", ReplicateProvider, FalProvider)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def _no_sleep(_seconds: float) -> None:
    pass


@pytest.fixture
async def connect(tmp_path: Path, clock: Clock) -> AsyncIterator[Callable[[type[AnyProvider], str], AnyProvider]]:
    """Makes a provider that talks to an address, and closes it after the test."""
    opened: list[ReplicateProvider | FalProvider] = []

    def build(kind: type[AnyProvider], url: str) -> AnyProvider:
        settings = Settings(
            home=tmp_path, replicate_api_token="r8_x", replicate_url=url, fal_key="id:secret", fal_url=url
        )
        calls = Calls(kind.name, clock, orders_per_minute=600, questions_per_minute=3000, sleep=_no_sleep)
        provider = kind(settings, clock, calls=calls)
        opened.append(provider)
        return provider

    yield build
    for provider in opened:
        await provider.close()
