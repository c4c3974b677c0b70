"""Is a port free, and which one is."""

from __future__ import annotations

import errno
import socket

from thornback.errors import Conflict

_TRIES = 100


class PortTaken(Conflict):
    """Something else listens on the port."""

    code = "port_taken"


def is_free(host: str, port: int) -> bool:
    """True where a server could listen there now.

    Raises:
        OSError: the host is none of this machine's addresses.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections that wait out their end do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def require_free(host: str, port: int, *, what: str, setting: str) -> None:
    """Raise PortTaken, with the way out, where the port is in use."""
    if not is_free(host, port):
        raise PortTaken(
            f"{what} cannot listen on {host}:{port}: the port is in use or not allowed. "
            f"Choose another with {setting}, or end what uses it (ss -ltnp 'sport = :{port}' shows it)",
            host=host,
            port=port,
        )


def next_free(host: str, port: int) -> int:
    """The first free port from `port` on.

    Raises:
        PortTaken: none of the next hundred is.
    """
    for candidate in range(port, min(port + _TRIES, 65_536)):
        if is_free(host, candidate):
            return candidate
    raise PortTaken(f"no port from {port} to {port + _TRIES - 1} is free on {host}", host=host, port=port)
