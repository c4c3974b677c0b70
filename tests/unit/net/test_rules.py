"""Exceptions that an operator makes, and what they do not open."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.errors import AddressRefused, SettingsError
from thornback.net.connect import own_addresses
from thornback.net.ranges import why_not_public
from thornback.net.rules import AddressRules, Allowed, read_host
from thornback.net.s3 import check_s3, with_key
from thornback.settings import Settings


def _rules(allow: str, **settings: object) -> AddressRules:
    return AddressRules.of(Settings(fetch_allow=allow, **settings))  # type: ignore[arg-type] # any of them


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "is_reached"),
    [
        ("10.1.0.0/16", "10.1.2.3", "10.1.2.3", 9000, True),
        ("10.1.0.0/16", "any.test", "10.1.2.3", 80, True),
        ("10.1.0.0/16", "10.2.0.1", "10.2.0.1", 80, False),
        ("127.0.0.1:8099", "127.0.0.1", "127.0.0.1", 8099, True),
        ("127.0.0.1:8099", "127.0.0.1", "::ffff:127.0.0.1", 8099, True),
        ("127.0.0.1:8099", "127.0.0.1", "127.0.0.1", 8001, False),
        ("127.0.0.1:8099", "127.0.0.2", "127.0.0.2", 8099, False),
        ("[::1]:80", "::1", "::1", 80, True),
        ("[::1]:80", "::1", "::1", 81, False),
        ("::1", "::1", "::1", 81, True),
        ("fd00::/8", "six.test", "fd12::1", 443, True),
        ("minio.internal", "minio.internal", "10.9.9.9", 9000, True),
        ("MinIO.internal", "minio.internal", "10.9.9.9", 9000, True),
        ("minio.internal", "evil-minio.internal", "10.9.9.9", 80, False),
        ("minio.internal", "minio.internal.evil.test", "10.9.9.9", 80, False),
        ("*.corp.test:9000", "s3.corp.test", "10.9.9.9", 9000, True),
        ("*.corp.test:9000", "s3.corp.test", "10.9.9.9", 80, False),
        ("*.corp.test", "corp.test", "10.9.9.9", 80, False),
        ("*.corp.test", "a.b.corp.test", "10.9.9.9", 80, True),
        (" a.test , b.test ,", "b.test", "10.9.9.9", 80, True),
        ("a.test", "public.test", "93.184.216.34", 443, True),
        ("a.test", "public.test", "93.184.216.34", 9000, False),
        ("public.test:9000", "public.test", "93.184.216.34", 9000, True),
        ("0.0.0.0/0", "any.test", "169.254.169.254", 80, True),  # who says so means it
    ],
)
def test_what_an_entry_opens(entry: str, host: str, address: str, port: int, is_reached: bool) -> None:
    rules = _rules(entry)
    if is_reached:
        assert len(rules.check(host, [ip_address(address)], port)) == 1
        return
    with pytest.raises(AddressRefused):
        rules.check(host, [ip_address(address)], port)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "a b",
        "http://a.test",
        "a.test:0",
        "a.test:x",
        "a.test:99999",
        "*",
        "*.*",
        "[::1",
        "1.2",
    ],
)
def test_an_entry_that_cannot_be_read_is_told_with_its_setting(text: str) -> None:
    with pytest.raises(SettingsError, match="THORNBACK_FETCH_ALLOW"):
        _rules(text)


def test_ports_can_be_changed() -> None:
    rules = _rules("", fetch_ports=(443,))
    rules.check_url("https://public.test/")
    with pytest.raises(AddressRefused, match="port 80"):
        rules.check_url("http://public.test/")


def test_an_address_of_this_machine_is_refused_though_it_is_public() -> None:
    public = ip_address("93.184.216.34")
    with pytest.raises(AddressRefused, match="own"):
        AddressRules().check("me.test", [public], 80, own=[public])
    assert AddressRules(allow=(Allowed.parse("me.test"),)).check("me.test", [public], 80, own=[public]) == (public,)
    assert ip_address("127.0.0.1") in own_addresses()


def test_a_refusal_shows_no_secrets_of_an_address() -> None:
    for url in ("http://me:hunter2@public.test/a?sig=hunter2", "ftp://me:hunter2@public.test/?sig=hunter2"):
        with pytest.raises(AddressRefused) as caught:
            AddressRules().check_url(url)
        assert "hunter2" not in f"{caught.value}{caught.value.details}"


MINIO = "endpoint_override=http%3A%2F%2Fminio.test%3A9000"


@pytest.mark.parametrize(
    ("uri", "is_taken"),
    [
        ("s3://bucket/key.mp4", True),
        ("s3://bucket/key.mp4?region=eu-west-1", True),
        (f"s3://bucket/key.mp4?{MINIO}", True),  # the storage's own
        ("s3://bucket/key.mp4?endpoint_override=http%3A%2F%2F10.1.2.3%3A9000", True),  # allowed
        ("s3://bucket/key.mp4?endpoint_override=10.1.2.3%3A9000&scheme=http", True),
        ("s3://bucket/key.mp4?endpoint_override=http%3A%2F%2F169.254.169.254", False),
        ("s3://bucket/key.mp4?endpoint_override=http%3A%2F%2F127.0.0.1%3A8001", False),
        ("s3://bucket/key.mp4?endpoint_override=http%3A%2F%2F2130706433", False),
        ("s3://bucket/key.mp4?endpoint_override=https%3A%2F%2Fevil.test", False),
        ("s3://bucket/key.mp4?endpoint_override=", False),
        (f"s3://bucket/key.mp4?{MINIO}&endpoint_override=http%3A%2F%2Fevil.test", False),
        ("s3://bucket/key.mp4?endpoint_override=http%3A%2F%2Fevil.test%3Aport", False),
        ("s3://bucket/key.mp4?endpoint_override=http%3A%2F%2F%5B", False),
        ("s3://[/key.mp4", False),
        ("s3://bucket/key.mp4?proxy_options=http%3A%2F%2Fevil.test", False),
        ("s3://AKIA:secret@bucket/key.mp4", False),
    ],
)
def test_the_servers_that_an_s3_address_may_name(uri: str, is_taken: bool, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, storage=f"s3://runs?{MINIO}", fetch_allow="10.1.0.0/16")
    if is_taken:
        check_s3(uri, settings)
        return
    with pytest.raises(AddressRefused):
        check_s3(uri, settings)


OPEN: dict[str, Any] = {}
CLOSED = {"access": "on"}


@pytest.mark.parametrize(
    ("settings", "uri", "is_taken"),
    [
        (OPEN, "s3://any/film.mp4", True),
        (OPEN, "s3://runs/main/job/film.mp4", True),  # nobody is there but the operator
        (OPEN | {"fetch_buckets": "films"}, "s3://any/film.mp4", False),
        (CLOSED, "s3://any/film.mp4", False),
        (CLOSED | {"fetch_buckets": "films, scans-*"}, "s3://films/film.mp4", True),
        (CLOSED | {"fetch_buckets": "films, scans-*"}, "S3://scans-2/film.mp4", True),
        (CLOSED | {"fetch_buckets": "films, scans-*"}, "s3://film/film.mp4", False),
        (CLOSED | {"fetch_buckets": "*"}, "s3://any/film.mp4", True),
        # What the platform stores, and what holds that, is nobody's to read by its address …
        (CLOSED | {"fetch_buckets": "*"}, "s3://runs/main/uploads/x.video", False),
        (CLOSED | {"fetch_buckets": "*"}, "s3://runs/main", False),
        (CLOSED | {"fetch_buckets": "*"}, "s3://runs/ma%69n/x", False),
        (CLOSED | {"fetch_buckets": "*"}, "s3://runs/", False),
        (CLOSED | {"fetch_buckets": "*"}, f"s3://runs/main/x?{MINIO}", False),
        # … and what lies beside it is like any other.
        (CLOSED | {"fetch_buckets": "runs"}, "s3://runs/mainly/film.mp4", True),
        (CLOSED | {"dataset": "s3://k:hush@data/radio"}, "s3://data/radio", True),
        (CLOSED | {"dataset": "s3://k:hush@data/radio"}, "s3://data/other", False),
    ],
)
def test_the_buckets_that_an_s3_address_may_name(
    settings: dict[str, Any], uri: str, is_taken: bool, tmp_path: Path
) -> None:
    made = Settings(home=tmp_path, storage=f"s3://AKIA:hush@runs/main?{MINIO}", **settings)
    if is_taken:
        check_s3(uri, made)
        return
    with pytest.raises(AddressRefused) as refused:
        check_s3(uri, made)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "read"),
    [
        (f"s3://runs/films/a.mp4?{MINIO}", f"s3://AKIA:hush@runs/films/a.mp4?{MINIO}"),
        ("s3://runs/films/a.mp4", "s3://runs/films/a.mp4"),  # of AWS, for all we know
        (f"s3://other/a.mp4?{MINIO}", f"s3://other/a.mp4?{MINIO}"),
        ("/data/films", "/data/films"),
    ],
)
def test_the_storage_s_key_is_for_its_own_bucket(uri: str, read: str) -> None:
    assert with_key(uri, f"s3://AKIA:hush@runs/main?{MINIO}") == read
    assert with_key(uri, f"s3://runs/main?{MINIO}") == uri


def _drawn(number: int) -> str:
    """In decimal, octal or hexadecimal digits."""
    return (str(number), f"0{number:o}", hex(number))[number % 3]


HOSTS = st.one_of(
    st.text(max_size=40),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map("[{}]".format),
    st.integers(0, 1 << 33).map(str),
    st.integers(0, 1 << 33).map(hex),
    st.lists(st.integers(0, 300).map(_drawn), min_size=1, max_size=5).map(".".join),
)


@given(HOSTS, st.sampled_from(["http", "https", "HTTP", "file", "", "gopher"]), st.text(max_size=10))
def test_any_text_is_an_address_that_is_taken_or_refused(host: str, scheme: str, rest: str) -> None:
    try:
        parts = AddressRules().check_url(f"{scheme}://{host}{rest}")
    except AddressRefused:
        return
    name, address = read_host(parts.raw_host.decode("ascii"))
    assert address is None or why_not_public(address) is None
    assert parts.scheme in ("http", "https")
    assert not parts.userinfo
    with contextlib.suppress(OSError):
        socket.inet_aton(name)  # what a C library reads as an address has to be one to us as well
        assert address is not None
