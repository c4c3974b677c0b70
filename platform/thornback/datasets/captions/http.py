"""Captions by any endpoint that takes pictures as OpenAI's chat completions do: vLLM, Ollama, llama.cpp, hosted."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from thornback.datasets import pictures
from thornback.errors import AddressRefused, InvalidInput, Unavailable
from thornback.net.client import GuardedClient
from thornback.net.rules import PUBLIC_ONLY, AddressRules
from thornback.settings import Settings

PROMPT = (
    "Describe this picture in one sentence of plain English for a training caption: the subject, what it does, the "
    "setting, the light. Only what is seen; no opinion, no introduction."
)
_AT_ONCE = 4
_TRIES = 5
_MOST_TOKENS = 200
_SIDE = 1024  # pixels; more is paid for and not looked at
_TIMEOUT = httpx.Timeout(30.0, read=180.0)
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_FIELD = "config.captions.url"


class _BusyError(Exception):
    """It may answer later."""


def key_for(url: str, settings: Settings) -> str | None:
    """The operator's key, where `url` is of the very server that it is for: users may name any address."""
    if settings.captions_url is None or _server(url) != _server(settings.captions_url):
        return None
    return settings.captions_key


def _server(url: str) -> tuple[str, str, int | None]:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        raise InvalidInput.field(_FIELD, f"{url!r} is no address") from None
    return parts.scheme, parts.host, parts.port


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCaptioner:
    """Asks an endpoint about each picture, a few at once."""

    url: str  # the base, e.g. http://host/v1, or the whole address that ends with /chat/completions
    model: str = "default"
    key: str | None = field(default=None, repr=False)
    prompt: str = PROMPT
    rules: AddressRules = PUBLIC_ONLY
    longest_wait_s: float = 30.0  # between two tries
    batch: int = 16

    @property
    def name(self) -> str:
        """The model's."""
        return self.model if self.model != "default" else "http"

    def describe(self, images: Sequence[Path]) -> list[str]:
        """See Captioner. Blocks, and must not be called on an event loop."""
        return asyncio.run(self._describe(images))

    async def _describe(self, images: Sequence[Path]) -> list[str]:
        turn = asyncio.Semaphore(_AT_ONCE)
        async with GuardedClient(self.rules, timeout=_TIMEOUT) as http:

            async def one(path: Path) -> str:
                async with turn:
                    return await self._ask(http, await asyncio.to_thread(_as_data, path))

            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(one(path)) for path in images]
            except ExceptionGroup as several:
                raise several.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _ask(self, http: httpx.AsyncClient, picture: str) -> str:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type((_BusyError, httpx.TransportError)),
                stop=stop_after_attempt(_TRIES),
                wait=wait_random_exponential(multiplier=0.5, max=self.longest_wait_s),
                reraise=True,
            ):
                with attempt:
                    return await self._once(http, picture)
        except AddressRefused as error:
            raise InvalidInput.field(_FIELD, error.message) from None
        except (_BusyError, httpx.HTTPError) as error:
            raise Unavailable(f"the endpoint for captions did not answer {_TRIES} times: {error}") from error
        raise AssertionError("AsyncRetrying ends by an answer or an error")

    async def _once(self, http: httpx.AsyncClient, picture: str) -> str:
        content = [
            {"type": "text", "text": self.prompt},
            {"type": "image_url", "image_url": {"url": picture}},
        ]
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": _MOST_TOKENS,
            "temperature": 0,
        }
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        answer = await http.post(self._endpoint, json=body, headers=headers)
        if answer.status_code in _BUSY:
            raise _BusyError(f"status {answer.status_code}: {answer.text[:200]}")
        if answer.status_code != httpx.codes.OK:
            problem = f"answered with status {answer.status_code}: {answer.text[:200]}"
            raise InvalidInput.field(_FIELD, problem)
        return _words(answer)

    @property
    def _endpoint(self) -> str:
        base = self.url.rstrip("/")
        return base if base.endswith("/chat/completions") else f"{base}/chat/completions"


def _words(answer: httpx.Response) -> str:
    """What the model said; empty where it said nothing in words."""
    try:
        said: Any = answer.json()["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise InvalidInput.field(_FIELD, f"is no chat endpoint: it answered {answer.text[:200]!r}") from None
    return said if isinstance(said, str) else ""


def _as_data(path: Path) -> str:
    """A picture as a data: address, not larger than models look at."""
    image = pictures.to_rgb(path.read_bytes())
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
