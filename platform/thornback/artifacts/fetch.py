"""Taking a file from the web into our storage: whole, checked, and visible only when it is both."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import anyio
import anyio.to_thread
import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from thornback.artifacts.content_type import HEAD_BYTES, settle
from thornback.artifacts.files import Location, locate
from thornback.errors import FetchFailed, OutputGone, Unavailable
from thornback.net.client import TIMEOUT, GuardedClient
from thornback.net.rules import PUBLIC_ONLY, AddressRules

MAX_BYTES = 20 << 30  # the greatest checkpoints of hosted trainers are a few GB
TRIES = 5
MAX_REDIRECTS = 5
LONGEST_WAIT_S = 60.0
WITHIN_S = 3600.0  # a server that trickles is given up then

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_ENCODINGS = frozenset({"identity", "gzip", "deflate"})  # others grow a thousandfold and more with each byte
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"^bytes (\d{1,19})-\d{1,19}/(\d{1,19}|\*)$")

Wait = Callable[[RetryCallState], float]
Tell = Callable[[int, int | None], None]  # bytes that are here, and of how many where that is known
BACKOFF: Wait = wait_exponential_jitter(multiplier=0.5, max=20.0)  # 0.5, 1, 2, 4 s and up to a second of jitter on each


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that lies in our storage now."""

    uri: str
    size_bytes: int
    sha256: str  # hex
    content_type: str  # by its bytes
    etag: str | None = None  # what its server calls this content, strong or weak


class Unchanged(Exception):
    """The server still has what the caller has already."""


class _Interrupted(Exception):
    """It did not work this time; `after_s` is what the server asks us to wait."""

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


async def fetch(
    url: str,
    to: str,
    *,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
    accept: Collection[str] | None = None,
    client: GuardedClient | None = None,
    rules: AddressRules = PUBLIC_ONLY,
    etag: str | None = None,
    tell: Tell | None = None,
    wait: Wait = BACKOFF,
    tries: int = TRIES,
    within_s: float = WITHIN_S,
) -> Fetched:
    """Fetch `url` into the file `to` (an address as in `files.py`); what lay there is replaced.

    Interrupted transfers go on from where they stopped where the server can do that, or start anew.

    Args:
        url: https:// or http://, or a small file itself as data:.
        to: the file's address; its folder is made.
        headers: sent to the host of `url` only, never on to another one that it redirects to.
        max_bytes: more than that is refused as soon as it shows.
        accept: beginnings of content types, e.g. `{"image/"}`, checked against the file's bytes; None takes all.
        client: to share connections; one without headers of its own, for those would go to every host.
        rules: what may be reached where no client is given; a client has its own.
        etag: of what the caller has already.
        tell: called with each piece; what it raises ends the transfer.
        wait: how long between two tries; a server's Retry-After is obeyed on top, up to a minute.
        tries: how often in all.
        within_s: how long all tries may take together.

    Raises:
        Unchanged: it is what `etag` names.
        OutputGone: the server has it no longer, or never had it.
        AddressRefused: the address, or one that it redirects to, may not be reached.
        FetchFailed: refused, too large, of another type, or not what its length promised.
        Unavailable: it did not work this time; a later call may.
    """
    async with _staging(locate(to)) as staged, _client(client, rules) as http:
        download = _Download(http, url, staged, headers or {}, max_bytes, etag=etag, tell=tell)
        await _within(within_s, _with_retries(download.run, wait, tries, what=shown(url)), what=shown(url))
        found = settle(download.head, download.said_type)
        if accept is not None and not found.startswith(tuple(accept)):
            raise FetchFailed(f"{shown(url)} is {found}, wanted {' or '.join(sorted(accept))}", url=shown(url))
        await anyio.to_thread.run_sync(_publish, staged, locate(to))
    return Fetched(
        uri=to,
        size_bytes=download.size,
        sha256=download.digest.hexdigest(),
        content_type=found,
        etag=download.etag,
    )


def shown(url: str) -> str:
    """An address for messages: signatures and passwords stand in what is left out here."""
    if url.startswith("data:"):
        return f"{url[:30]}…"
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return "an address that cannot be read"
    return str(parts.copy_with(query=None, fragment=None, username=None, password=None))


def pause_s(planned: float, asked: float | None) -> float:
    """Seconds until the next try: what was planned, or the longer time that the server asks for, up to a minute."""
    return max(planned, min(asked or 0.0, LONGEST_WAIT_S))


class _Download:
    """One file on its way to a local file, over as many connections as it takes."""

    def __init__(
        self,
        http: GuardedClient,
        url: str,
        staged: Path,
        headers: Mapping[str, str],
        max_bytes: int,
        *,
        etag: str | None,
        tell: Tell | None,
    ) -> None:
        self._http, self._url, self._staged = http, url, staged
        self._headers, self._max_bytes = headers, max_bytes
        self._known_etag, self._tell = etag, tell
        self.etag: str | None = None
        self._expected: int | None = None
        self._validator: str | None = None  # what names this very content, so that a rest may be asked for
        self._begin()

    def _begin(self) -> None:
        self.size = 0
        self.head = b""
        self.digest = hashlib.sha256()
        self.said_type: str | None = None

    async def run(self) -> None:
        """Fetch all of it, or the rest. Raises _Interrupted, FetchFailed, OutputGone."""
        if self._url.startswith("data:"):
            self._begin()
            self.said_type, content = _inline(self._url)
            await self._take(content, "wb")
            return
        try:
            async with self._answer() as answer:
                await self._receive(answer)
        except httpx.RequestError as error:
            raise _Interrupted(f"{type(error).__name__}: {error}") from error
        except httpx.InvalidURL as error:  # httpx reads a Location before we can
            raise FetchFailed(f"{shown(self._url)} redirects to what is no address", url=shown(self._url)) from error

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[httpx.Response]:
        """The answer behind all redirects, its body unread."""
        url, headers = _read(self._url), dict(self._headers)
        first_origin = _origin(url)
        for _ in range(MAX_REDIRECTS + 1):
            request = self._http.build_request("GET", url, headers=headers | self._conditions(), timeout=TIMEOUT)
            answer = await self._http.send(request, stream=True, follow_redirects=False)
            try:
                if answer.status_code not in _REDIRECTS or "location" not in answer.headers:
                    yield answer
                    return
            finally:
                await answer.aclose()
            url = _read(answer.headers["location"], base=url)
            headers = headers if _origin(url) == first_origin else {}
        raise FetchFailed(f"{shown(self._url)} redirects more than {MAX_REDIRECTS} times", url=shown(self._url))

    def _conditions(self) -> dict[str, str]:
        conditions = {"Accept-Encoding": "identity"}
        if self.size and self._validator is not None:
            conditions |= {"Range": f"bytes={self.size}-", "If-Range": self._validator}
        elif self._known_etag is not None:
            conditions["If-None-Match"] = self._known_etag
        return conditions

    async def _receive(self, answer: httpx.Response) -> None:
        self._check_status(answer)
        if answer.status_code == httpx.codes.PARTIAL_CONTENT:
            self._check_range(answer)
        else:
            self._begin()
            self.said_type = answer.headers.get("content-type")
        self._validator, self.etag = _validator(answer), answer.headers.get("etag")
        before, expected = self.size, _length(answer)
        self._expected = None if expected is None else before + expected
        self._check_size(self._expected or 0)
        mode = "ab" if before else "wb"
        async for chunk in _body(answer):
            await self._take(chunk, mode)
            mode = "ab"
        if mode == "wb":
            await self._take(b"", mode)  # an empty file is a file
        if expected is not None and answer.num_bytes_downloaded != expected:
            raise _Interrupted(f"{answer.num_bytes_downloaded} of {expected} bytes came")

    async def _take(self, chunk: bytes, mode: str) -> None:
        self._check_size(self.size + len(chunk))
        await anyio.to_thread.run_sync(_write, self._staged, chunk, mode)
        self.digest.update(chunk)
        self.size += len(chunk)
        self.head = (self.head + chunk[:HEAD_BYTES])[:HEAD_BYTES]
        if self._tell is not None:
            self._tell(self.size, self._expected)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            message = f"{shown(self._url)} has more than the {self._max_bytes} bytes that are taken"
            raise FetchFailed(message, url=shown(self._url))

    def _check_status(self, answer: httpx.Response) -> None:
        status, where = answer.status_code, shown(self._url)
        if answer.is_success:
            if (encoding := answer.headers.get("content-encoding", "identity")) not in _ENCODINGS:
                raise FetchFailed(f"{where} comes in an encoding that was not asked for: {encoding[:40]}", url=where)
            return
        if status == httpx.codes.NOT_MODIFIED and self._known_etag is not None:
            raise Unchanged
        if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._begin()
            raise _Interrupted("the rest could not be had; starting anew")
        if status in _GONE:
            raise OutputGone(f"{where} is gone (HTTP {status}); providers keep results for a short time", url=where)
        if status in _TRANSIENT:
            raise _Interrupted(f"HTTP {status}", after_s=_retry_after(answer))
        raise FetchFailed(f"{where} was refused with HTTP {status}", url=where, status=status)

    def _check_range(self, answer: httpx.Response) -> None:
        match = _CONTENT_RANGE.match(answer.headers.get("content-range", ""))
        if match is None or int(match[1]) != self.size:
            self._begin()
            raise _Interrupted("another part came than the one asked for")


async def _with_retries(action: Callable[[], Awaitable[None]], wait: Wait, tries: int, *, what: str) -> None:
    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return pause_s(wait(state), error.after_s if isinstance(error, _Interrupted) else None)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_Interrupted), stop=stop_after_attempt(tries), wait=pause, reraise=True
    )
    try:
        await retrying(action)
    except _Interrupted as error:
        raise Unavailable(f"{what} could not be fetched in {tries} tries; the last said: {error}", url=what) from error


async def _within(seconds: float, work: Awaitable[None], *, what: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        raise Unavailable(f"{what} was not here after {seconds:g} s", url=what) from None


@asynccontextmanager
async def _client(given: GuardedClient | None, rules: AddressRules) -> AsyncIterator[GuardedClient]:
    if given is not None:
        yield given
        return
    async with GuardedClient(rules) as client:
        yield client


@asynccontextmanager
async def _staging(place: Location) -> AsyncIterator[Path]:
    """Where the file grows: beside its place where that is local, so that a rename shows it, else a temporary file."""
    if place.is_local:
        target = Path(place.path)
        await anyio.Path(target.parent).mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.partial")
        try:
            yield staged
        finally:
            await anyio.Path(staged).unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory(prefix="thornback-fetch-") as folder:
        yield Path(folder) / "file"


def _publish(staged: Path, place: Location) -> None:
    if place.is_local:
        staged.replace(place.path)
        return
    try:
        place.upload(staged)
    except OSError as error:
        raise Unavailable(f"the storage does not take {place.path}: {error}") from error


def _write(path: Path, content: bytes, mode: str) -> None:
    with path.open(mode) as file:
        file.write(content)


def _read(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    """An address of the web; whether it may be reached is the client's to say, for each one that is asked."""
    try:
        url = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise FetchFailed(f"the address cannot be read: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        where = shown(str(url))
        raise FetchFailed(f"{where} is neither https:// nor http://", url=where)
    return url


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    if answer.headers.get("content-encoding", "identity") == "identity":
        return answer.aiter_raw()
    return answer.aiter_bytes()


def _length(answer: httpx.Response) -> int | None:
    """Bytes of this answer's body on the wire, where it says so."""
    text = answer.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() else None


def _validator(answer: httpx.Response) -> str | None:
    """A strong validator for If-Range (RFC 9110, 13.1.5); None where a rest cannot be joined safely."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        return None
    etag: str | None = answer.headers.get("etag")
    return None if etag is None or etag.startswith("W/") else etag


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _inline(url: str) -> tuple[str, bytes]:
    """Type and content of a data: address (RFC 2397)."""
    meta, comma, content = url.removeprefix("data:").partition(",")
    try:
        raw = unquote_to_bytes(content)
        body = base64.b64decode(raw, validate=True) if meta.endswith(";base64") else raw
    except binascii.Error:
        comma = ""
    if not comma:
        raise FetchFailed("a data: address cannot be read", url=shown(url))
    return meta.partition(";")[0], body
