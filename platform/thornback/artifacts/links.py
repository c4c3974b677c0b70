"""Addresses under which anybody can fetch one stored file, and nothing else, for a while.

S3 signs such addresses itself. For a folder the API serves them (`/api/v1/files/…`), with an HMAC-SHA256 over the
file's key, the time and the name; the key of that HMAC is the setting `links_secret`, or is made once and kept in
home. Whoever signs and whoever serves must have the same one: let the API sign, for drivers of jobs are given no
secrets and may run on another machine.
"""

from __future__ import annotations

import hmac
import posixpath
import secrets
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlencode

from thornback.artifacts.files import Location, join, locate, without_secrets
from thornback.artifacts.s3 import LONGEST_LINK_S, S3Location
from thornback.errors import InvalidInput, LinkExpired, LinkRefused, NotFound
from thornback.secret_settings import kept_secret
from thornback.settings import Settings

FILES_PATH = "/api/v1/files"
SECRET_FILE = "links.key"  # noqa: S105 - the name of a file
_SECRET_BYTES = 32


class Links:
    """Makes such addresses, and checks those that come back."""

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        """Nothing is read yet.

        Args:
            settings: storage, public address and secret.
            now: seconds since the epoch.
        """
        self._settings = settings
        self._now = now

    def url(self, uri: str, *, expires_s: float, filename: str | None = None, base: str | None = None) -> str:
        """An address of a file that lies in the storage; whether it is there shows when it is fetched.

        Args:
            uri: of the file.
            expires_s: for how many seconds it holds, 1 to a week.
            filename: under which a browser saves it; left out: it may show it.
            base: how the reader reaches the API, e.g. from the request; left out: `public_url`, else host and port.

        Raises:
            InvalidInput: outside the storage, or a time that cannot be.
        """
        place = locate(uri)
        if isinstance(place, S3Location):
            return place.signed_url(expires_s=expires_s, filename=filename)
        if not 1 <= expires_s <= LONGEST_LINK_S:
            raise InvalidInput.field("expires_s", f"{expires_s:g} s; a link holds for 1 to {LONGEST_LINK_S} s")
        key, expires = self._key_of(place), str(int(self._now() + expires_s))
        named = {} if filename is None else {"filename": filename}
        query = urlencode({"expires": expires, **named, "signature": self._sign(key, expires, filename)})
        return f"{(base or self._base()).rstrip('/')}{FILES_PATH}/{quote(key)}?{query}"

    def open(self, key: str, *, expires: str, signature: str, filename: str | None) -> tuple[Location, int]:
        """The file of an address that came back, and for how many seconds more it holds.

        Raises:
            LinkRefused: not signed by us, or altered.
            LinkExpired: too late.
            NotFound: the file is there no longer, or never was one of the storage.
        """
        if not hmac.compare_digest(self._sign(key, expires, filename).encode(), signature.encode()):
            raise LinkRefused("this link was not made here, or has been altered; ask for a new one")
        left = int(expires) - int(self._now())
        if left <= 0:
            raise LinkExpired("this link has expired; ask for a new one")
        return self._inside(key), left

    def _sign(self, key: str, expires: str, filename: str | None) -> str:
        # Lengths first: no two sets of fields make the same text.
        fields = [key, expires, *(() if filename is None else (filename,))]
        text = "".join(f"{len(field)}:{field}" for field in fields)
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    @cached_property
    def _secret(self) -> bytes:
        return signing_secret(self._settings)

    def _base(self) -> str:
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return settings.public_url or settings.url or f"http://{host}:{settings.port}"

    def _key_of(self, place: Location) -> str:
        root, path = locate(self._settings.storage), posixpath.normpath(place.path)
        if not place.is_beside(root) or not path.startswith(f"{root.path.rstrip('/')}/"):
            shown = without_secrets(place.path)
            raise InvalidInput.field("uri", f"{shown} is outside the storage, and only what is in it has links")
        return posixpath.relpath(path, root.path)

    def _inside(self, key: str) -> Location:
        place, root = locate(join(self._settings.storage, key)), locate(self._settings.storage)
        real = Path(place.path).resolve()
        if not place.is_local or not real.is_relative_to(Path(root.path).resolve()) or not real.is_file():
            raise NotFound(f"there is no file {key}")
        return place


def signing_secret(settings: Settings) -> bytes:
    """What links and tickets are signed with."""
    given = settings.links_secret
    return given.encode() if given else kept_secret(settings.home / SECRET_FILE, make=_new_secret)


def _new_secret() -> bytes:
    return secrets.token_hex(_SECRET_BYTES).encode()
