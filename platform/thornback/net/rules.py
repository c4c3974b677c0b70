"""Which addresses may be reached for a user or a provider. Pure: nothing is looked up here."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_network
from typing import Self

import httpx

from thornback.errors import AddressRefused, SettingsError
from thornback.net.ranges import IPAddress, IPNetwork, plain, why_not_public
from thornback.settings import DEFAULT_FETCH_PORTS, Settings

SCHEMES = {"http": 80, "https": 443}  # and their ports
MAX_URL = 8192
MAX_HOST = 253

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")  # WHATWG: a host whose last label is one is meant to be an IPv4 address
_PATTERN = re.compile(r"(\*\.)?[a-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One entry of the list of exceptions."""

    network: IPNetwork | None  # of addresses …
    name: str | None  # … or a host, or with `*.` in front all below it
    port: int | None = None  # None: all

    @classmethod
    def parse(cls, text: str) -> Self:
        """`10.1.0.0/16`, `127.0.0.1:8099`, `[::1]:80`, `minio.internal`, `*.corp.example:9000`. Raises ValueError."""
        host, port = _split_port(text.strip().lower())
        if "/" in host or ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
            return cls(ip_network(host), None, port)
        if not _PATTERN.fullmatch(host):
            raise ValueError(f"{text!r} is neither a host nor a network")
        return cls(None, host, port)

    def covers(self, host: str, address: IPAddress | None, port: int) -> bool:
        """True where this is an exception for an address that `host` stands for; without one, for the name alone."""
        if self.port not in (None, port):
            return False
        if self.name is not None:
            return fnmatchcase(host, self.name)
        return self.network is not None and address is not None and address in self.network


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """What may be reached: the public internet on the ports of the web, and what is allowed on top."""

    allow: tuple[Allowed, ...] = ()
    ports: frozenset[int] = frozenset(DEFAULT_FETCH_PORTS)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The operator's. Raises SettingsError."""
        texts = [text for text in settings.fetch_allow.split(",") if text.strip()]
        try:
            return cls(allow=tuple(Allowed.parse(text) for text in texts), ports=frozenset(settings.fetch_ports))
        except ValueError as error:
            raise SettingsError.field(
                "THORNBACK_FETCH_ALLOW", f"{error}; name hosts and networks, with commas"
            ) from None

    def check_url(self, url: str | httpx.URL) -> httpx.URL:
        """Read an address as it will be read when it is asked, and check its form; a name is not looked up.

        Raises:
            AddressRefused: it cannot be read, is no http(s), holds a user name or a host in a form of its own, or
                names an IP address or a port that may not be reached.
        """
        parts = _parse(url)
        default = SCHEMES.get(parts.scheme)
        if default is None or not parts.host:
            raise AddressRefused(f"{_shown(parts)} is neither https:// nor http://", url=_shown(parts))
        if parts.userinfo or "@" in parts.netloc.decode("ascii"):
            raise AddressRefused(f"{_shown(parts)} has a user name in it; give the address without", url=_shown(parts))
        host, address = read_host(parts.raw_host.decode("ascii"))
        port = default if parts.port is None else parts.port
        if address is not None:
            self.check(host, [address], port)
        elif port not in self.ports and not any(entry.port in (None, port) for entry in self.allow):
            raise AddressRefused(f"{_shown(parts)} may not be reached: {_no_port(port)}", url=_shown(parts))
        return parts

    def check(
        self, host: str, addresses: Collection[IPAddress], port: int, *, own: Collection[IPAddress] = ()
    ) -> tuple[IPAddress, ...]:
        """The addresses of `host` as they may be connected to.

        One that may not be reached makes all of them unfit: no public service has a private address beside a
        public one, but a name server that wants to lead us astray does.

        Args:
            host: as `read_host` gives it.
            addresses: what it stands for.
            port: which one.
            own: addresses of this very machine.

        Raises:
            AddressRefused: says why.
        """
        real = tuple(dict.fromkeys(plain(address) for address in addresses))
        for address in real:
            why = self._why_not(host, address, port, own)
            if why is not None:
                # The address itself stays out of the message: a user could read the names of our network from it.
                raise AddressRefused(
                    f"{host}:{port} may not be reached: {why}. An operator can allow it in THORNBACK_FETCH_ALLOW",
                    host=host,
                    port=port,
                )
        return real

    def _why_not(self, host: str, address: IPAddress, port: int, own: Collection[IPAddress]) -> str | None:
        if any(entry.covers(host, address, port) for entry in self.allow):
            return None
        why = why_not_public(address)
        if why is not None:
            return f"its address is {why}"
        if address in own:
            return "its address is this machine's own"
        return None if port in self.ports else _no_port(port)


PUBLIC_ONLY = AddressRules()


def read_host(text: str) -> tuple[str, IPAddress | None]:
    """A host in its one form, and the address where it is one.

    What C libraries read as addresses, but browsers and people do not (2130706433, 0177.0.0.1, 0x7f.1, 127.1), is
    refused instead of read, since the two sides of a check must never read a host differently.

    Raises:
        AddressRefused: no host, or in another form.
    """
    host = text.lower().removesuffix(".")
    try:
        if ":" in host:
            return host, IPv6Address(host)
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            return host, IPv4Address(host)
    except AddressValueError:
        raise AddressRefused(f"{text!r} is no IP address as they are written: 192.0.2.1 or [2001:db8::1]") from None
    if len(host) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise AddressRefused(f"{text[:80]!r} is no name of a host")
    return host, None


def _no_port(port: int) -> str:
    return f"port {port} is none of the web's (THORNBACK_FETCH_PORTS)"


def _parse(url: str | httpx.URL) -> httpx.URL:
    if len(str(url)) > MAX_URL:
        raise AddressRefused(f"the address has more than {MAX_URL} characters")
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise AddressRefused(f"the address cannot be read: {error}") from None


def _shown(url: httpx.URL) -> str:
    return str(url.copy_with(query=None, fragment=None, username=None, password=None))


def _split_port(text: str) -> tuple[str, int | None]:
    """`host:port`, `[v6]:port`, and both without a port."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} lacks a bracket")
        return host, _port(rest[1:], text) if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, _port(port, text)
    return text, None


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 1 << 16:
        raise ValueError(f"{whole!r} has no port that exists")
    return int(text)
