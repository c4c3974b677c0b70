"""Ports that are free, taken, and next."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from thornback.node.ports import PortTaken, is_free, next_free, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_taken_and_free(taken: int) -> None:
    assert not is_free("127.0.0.1", taken)
    free = next_free("127.0.0.1", taken)
    assert taken < free < taken + 100
    assert is_free("127.0.0.1", free)


def test_the_error_names_the_port_and_both_ways_out(taken: int) -> None:
    with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{taken}.*--port.*ss -ltnp") as caught:
        require_free("127.0.0.1", taken, what="the API", setting="--port")
    assert caught.value.details == {"host": "127.0.0.1", "port": taken}


def test_a_port_whose_connections_wait_out_their_end_is_free() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server does
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            accepted.close()  # the side that closes first keeps the port in TIME_WAIT
    assert is_free("127.0.0.1", port)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError, match=r"(?i)cannot assign"):
        is_free("203.0.113.1", 8001)  # reserved for documentation
