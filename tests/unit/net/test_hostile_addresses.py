"""Every way that we know to write an address that must not be reached, and what must still be."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import httpcore
import httpx
import pytest

from thornback.errors import AddressRefused
from thornback.net.client import GuardedClient, GuardedTransport
from thornback.net.ranges import IPAddress, why_not_public
from thornback.net.rules import PUBLIC_ONLY

# What the names below lead to.
ZONE = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "localtest.me": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "169-254-169-254.nip.test": ["169.254.169.254"],
    "both.test": ["93.184.216.34", "10.0.0.1"],
    "both6.test": ["2606:2800:220:1::1", "fd00::1"],
    "mapped.test": ["::ffff:10.0.0.1"],
    "nat64.test": ["64:ff9b::a00:1"],
    "own.test": ["93.184.216.99"],
    "zero.test": ["0.0.0.0"],
    "127.0.0.1.evil.test": ["127.0.0.1"],
    "good.test": ["93.184.216.34"],
    "good6.test": ["2606:2800:220:1::1"],
    "dns64.test": ["64:ff9b::5db8:d822"],
    "xn--bcher-kva.test": ["93.184.216.34"],
    "under_score.test": ["93.184.216.34"],
}
OWN = {ip_address("93.184.216.99")}

REFUSED = [
    # this machine
    "http://127.0.0.1/",
    "http://127.0.0.1:8001/api/v1/info",
    "http://127.8.8.8/",
    "http://127.255.255.254/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://localhost.localdomain/",
    "http://localtest.me/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://zero.test/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://own.test/",
    "http://93.184.216.99/",
    # IPv4 in forms of its own
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7F.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0x/",
    "http://127.0.0.1./",
    "http://127.0.0.01/",
    "http://127.0.0.1.1/",
    "http://127.0.0.256/",
    "http://3232235777/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",  # noqa: RUF001 - that is its point
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://127.0.0.1%00.good.test/",
    # private, shared, link-local, clouds
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://169-254-169-254.nip.test/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    # reserved
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://192.88.99.1/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    # IPv6, and IPv4 inside of it
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2606:2800:220:1:0:5efe:10.0.0.1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[2606:2800:220:1::1%25lo]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[5f00::1]/",
    "http://[::1/",
    "http://mapped.test/",
    "http://nat64.test/",
    # one address of several
    "http://both.test/",
    "http://both6.test/",
    # user names, slashes and others that two readers read differently
    "http://good.test@127.0.0.1/",
    "http://good.test:80@127.0.0.1/",
    "http://user:password@good.test/",
    "http://:@good.test/",
    "http://good.test\\@127.0.0.1/",
    "http://127.0.0.1\\@good.test/",
    "http://127.0.0.1%2f@good.test/",
    "http://a@b@good.test/",
    "http://127.0.0.1.evil.test/",
    "http://good.test\t/",
    "http://good.test\n.evil.test/",
    "http://good test/",
    "http://good..test/",
    "http://.good.test/",
    "http://-good.test/",
    "http://good.test%00/",
    "http://ⓛocalhost/",
    f"http://{'a' * 64}.test/",
    f"http://{'a.' * 130}test/",
    f"http://good.test/{'a' * 9000}",
    # ports
    "http://good.test:22/",
    "http://good.test:25/",
    "http://good.test:6379/",
    "http://good.test:10250/",
    "http://good.test:0/",
    "http://good.test:65536/",
    "http://good.test:-1/",
    "http://good.test:eighty/",
    "http://93.184.216.34:22/",
    # schemes
    "file:///etc/passwd",
    "file://good.test/etc/passwd",
    "ftp://good.test/",
    "gopher://127.0.0.1:6379/_SET",
    "dict://127.0.0.1:11211/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "ws://good.test/",
    "jar:http://good.test!/",
    "javascript:alert(1)",
    "http:///good.test/",
    "http:good.test/",
    "http:/good.test/",
    "//good.test/",
    "good.test",
    "",
]
REACHED = {
    "http://good.test/": ("93.184.216.34", 80),
    "https://good.test/": ("93.184.216.34", 443),
    "http://GOOD.test./": ("93.184.216.34", 80),
    "http://good.test:8080/": ("93.184.216.34", 8080),
    "http://93.184.216.34/": ("93.184.216.34", 80),
    "http://[2606:2800:220:1::1]:8443/": ("2606:2800:220:1::1", 8443),
    "http://[::ffff:93.184.216.34]/": ("93.184.216.34", 80),
    "http://good6.test/": ("2606:2800:220:1::1", 80),
    "http://dns64.test/": ("64:ff9b::5db8:d822", 80),
    "http://bücher.test/": ("93.184.216.34", 80),
    "http://under_score.test/": ("93.184.216.34", 80),
    "http://@good.test/": ("93.184.216.34", 80),
    "http://good.test/?at=@127.0.0.1": ("93.184.216.34", 80),
    "http://good.test/#@127.0.0.1": ("93.184.216.34", 80),
}


class Wires(httpcore.AsyncNetworkBackend):
    """Notes what would be connected to; nobody answers there."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore.AsyncNetworkStream:
        self.reached.append((host, port))
        raise httpcore.ConnectError("nobody is there")


async def look_up(host: str, port: int) -> Sequence[IPAddress]:
    if host not in ZONE:
        raise OSError(f"no such name: {host}")
    return [ip_address(text) for text in ZONE[host]]


async def _ask(url: str) -> tuple[Exception, list[tuple[str, int]]]:
    wires = Wires()
    transport = GuardedTransport(PUBLIC_ONLY, resolve=look_up, own=lambda: OWN, inner=wires)
    async with GuardedClient(transport=transport) as client:
        try:
            await client.get(url)
        except Exception as error:  # noqa: BLE001 - the test says which
            return error, wires.reached
    raise AssertionError("somebody answered")


def test_the_table_is_long() -> None:
    assert len(set(REFUSED)) == len(REFUSED) > 100


@pytest.mark.parametrize("url", REFUSED)
async def test_nothing_is_connected_to(url: str) -> None:
    error, reached = await _ask(url)
    assert reached == []
    assert isinstance(error, AddressRefused | httpx.InvalidURL), error


@pytest.mark.parametrize("url", REFUSED)
def test_what_has_a_bad_form_is_refused_before_any_look_up(url: str) -> None:
    """Whoever takes an address from a user can say so at once; what a name leads to shows when it is looked up."""
    try:
        host = PUBLIC_ONLY.check_url(url).host.removesuffix(".")
    except AddressRefused:
        return
    assert host in ZONE.keys() - {"good.test"} or ip_address(host) in OWN


@pytest.mark.parametrize(("url", "place"), REACHED.items())
async def test_the_public_web_is_reached(url: str, place: tuple[str, int]) -> None:
    error, reached = await _ask(url)
    assert reached == [place]
    assert isinstance(error, httpx.ConnectError)


async def test_a_name_that_nobody_knows_is_no_refusal() -> None:
    error, reached = await _ask("http://gone.test/")
    assert isinstance(error, httpx.ConnectError)
    assert reached == []


@pytest.mark.parametrize("url", ["http://both.test/", "http://metadata.google.internal/"])
async def test_a_refusal_does_not_tell_our_addresses(url: str) -> None:
    error, _ = await _ask(url)
    assert not any(address in str(error) for addresses in ZONE.values() for address in addresses)


@pytest.mark.parametrize(
    ("text", "is_public"),
    [
        ("8.8.8.8", True),
        ("1.1.1.1", True),
        ("9.255.255.255", True),
        ("11.0.0.0", True),
        ("100.63.255.255", True),
        ("100.128.0.0", True),
        ("172.15.255.255", True),
        ("172.32.0.0", True),
        ("192.167.255.255", True),
        ("192.169.0.0", True),
        ("198.17.255.255", True),
        ("198.20.0.0", True),
        ("223.255.255.255", True),
        ("224.0.0.0", False),
        ("2000::1", True),
        ("2001:200::1", True),
        ("2001:1ff::1", False),
        ("2a00:1450::1", True),
        ("3ffe::1", True),
        ("4000::1", False),
        ("1fff::1", False),
    ],
)
def test_the_edges_of_the_ranges(text: str, is_public: bool) -> None:
    assert (why_not_public(ip_address(text)) is None) is is_public
