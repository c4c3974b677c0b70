"""Which IP addresses are anybody's on the internet, and which are ours, our network's or nobody's.

After IANA's registries of special-purpose addresses, IPv4 (RFC 6890) and IPv6. `ipaddress.is_global` of the
standard library is not used: what it says of several ranges has changed between patch releases of Python.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_V4 = {
    "0.0.0.0/8": "this very network (it reaches this machine)",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier's customers",
    "127.0.0.0/8": "this machine (loopback)",
    "169.254.0.0/16": "link-local (clouds answer with credentials there)",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "for documentation",
    "192.31.196.0/24": "reserved (AS112)",
    "192.52.193.0/24": "reserved (AMT)",
    "192.88.99.0/24": "reserved (6to4 relays)",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "reserved (AS112)",
    "198.18.0.0/15": "for benchmarks of networks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "255.255.255.255/32": "broadcast",
    # Answer inside of one cloud only, though they are registered as anybody's.
    "168.63.129.16/32": "a service of Azure for its own machines",
}
_V6 = {
    "::/128": "unspecified (it reaches this machine)",
    "::1/128": "this machine (loopback)",
    "64:ff9b:1::/48": "a translation to private IPv4",
    "100::/64": "discarded",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
    "2001::/23": "reserved for protocols (Teredo and others)",
    "2001:db8::/32": "for documentation",
    "2002::/16": "a tunnel to IPv4 (6to4)",
    "3fff::/20": "for documentation",
    "2620:4f:8000::/48": "reserved (AS112)",
}
_V4_RANGES = tuple((IPv4Network(text), why) for text, why in _V4.items())
_V6_RANGES = tuple((IPv6Network(text), why) for text, why in _V6.items())
_V6_UNICAST = IPv6Network("2000::/3")  # all that IANA gives out
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address, reached through a translator
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: then the last 32 bits are an IPv4 address


def plain(address: IPAddress) -> IPAddress:
    """The address that a connection would really go to: ::ffff:192.0.2.1 is 192.0.2.1."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def why_not_public(address: IPAddress) -> str | None:
    """What an address is where it is not anybody's on the internet; None for a public one."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return next((why for network, why in _V4_RANGES if address in network), None)
    if address.scope_id is not None:
        return "bound to an interface"
    if address in _NAT64:
        return why_not_public(_last_32_bits(address))
    for network, why in _V6_RANGES:
        if address in network:
            return why
    if address not in _V6_UNICAST:
        return "reserved"
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return why_not_public(_last_32_bits(address))
    return None


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFF_FFFF)
