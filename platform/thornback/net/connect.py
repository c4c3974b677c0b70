"""Connecting to the very address that was checked, so that no name server can give another one afterwards."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from ipaddress import ip_address

import anyio
import httpcore

from thornback.net.ranges import IPAddress
from thornback.net.rules import AddressRules, read_host

MAX_ADDRESSES = 4  # of one name that are tried, one after the other

Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
Own = Callable[[], Collection[IPAddress]]
# httpcore's own type of it, which it does not export.
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


async def resolve(host: str, port: int) -> list[IPAddress]:
    """The addresses of a name, in the system's order of preference. Raises OSError."""
    rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(row[4][0]) for row in rows))


def own_addresses() -> set[IPAddress]:
    """Those of this machine's interfaces."""
    import psutil

    families = (socket.AF_INET, socket.AF_INET6)
    rows = (row for rows in psutil.net_if_addrs().values() for row in rows if row.family in families)
    return {ip_address(row.address.partition("%")[0]) for row in rows}


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Makes httpcore's connections: resolves once, checks what came, and connects to nothing else.

    TLS still checks the certificate against the name, and connections are kept for the name, not the address.
    """

    def __init__(
        self,
        rules: AddressRules,
        *,
        resolve: Resolve = resolve,
        own: Own = own_addresses,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._rules, self._resolve, self._own = rules, resolve, own
        self._inner = inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises AddressRefused, httpcore.ConnectError, httpcore.ConnectTimeout."""
        try:
            with anyio.fail_after(timeout):
                return await self._connect(host, port, timeout, local_address, tuple(socket_options or ()))
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"{host}:{port} does not answer") from None

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SocketOption] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never: such a socket is always this machine's."""
        raise httpcore.ConnectError("sockets of this machine may not be reached")

    async def sleep(self, seconds: float) -> None:
        """As httpcore asks for."""
        await anyio.sleep(seconds)

    async def _connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        options: tuple[SocketOption, ...],
    ) -> httpcore.AsyncNetworkStream:
        addresses = self._rules.check(*await self._look_up(host, port), port, own=self._own())[:MAX_ADDRESSES]
        share = None if timeout is None else timeout / len(addresses)
        for number, address in enumerate(addresses, start=1):
            try:
                return await self._inner.connect_tcp(str(address), port, share, local_address, options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise AssertionError("a name has at least one address")

    async def _look_up(self, text: str, port: int) -> tuple[str, Sequence[IPAddress]]:
        host, address = read_host(text)
        if address is not None:
            return host, [address]
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be found: {error}") from error
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        return host, addresses
