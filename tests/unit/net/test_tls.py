"""A connection to a checked address is still one to the name: its certificate is looked at."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from thornback.net.client import GuardedClient, GuardedTransport
from thornback.net.ranges import IPAddress
from thornback.net.rules import AddressRules, Allowed


def _certificate(folder: Path, name: str) -> Path:
    """A key and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / f"{name}.pem"
    file.write_bytes(key.private_bytes(*text) + certificate.public_bytes(serialization.Encoding.PEM))
    return file


async def _here(host: str, port: int) -> list[IPAddress]:
    return [ip_address("127.0.0.1")]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nit")
    await writer.drain()
    writer.close()


async def test_only_who_has_a_certificate_for_the_name_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = _certificate(tmp_path, "good.test")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(pem)
    asked: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    rules = AddressRules(allow=(Allowed.parse("127.0.0.1"),))
    async with server:
        async with GuardedClient(transport=GuardedTransport(rules, resolve=_here)) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):  # signed by nobody known
                await client.get(f"https://good.test:{port}/")
        monkeypatch.setattr("thornback.net.client._trusted", lambda: ssl.create_default_context(cafile=pem))
        async with GuardedClient(transport=GuardedTransport(rules, resolve=_here)) as client:
            assert (await client.get(f"https://good.test:{port}/")).content == b"it"
            with pytest.raises(httpx.ConnectError, match=r"not valid for 'other\.test'"):
                await client.get(f"https://other.test:{port}/")
    assert asked == ["good.test", "good.test", "other.test"]
