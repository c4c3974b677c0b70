"""Which S3-compatible servers an s3:// address of a user may lead to."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from thornback.errors import AddressRefused
from thornback.net.rules import SCHEMES, AddressRules, read_host
from thornback.settings import Settings

_OPTIONS = frozenset({"endpoint_override", "region", "scheme"})


def check_s3(uri: str, settings: Settings) -> None:
    """Let an address pass that leads to AWS, to the operator's own server, or to one that is allowed.

    Another server, though public, is refused: the client resolves its name by itself, time and again, so that no
    check of ours would hold, and it would be sent a signature made with the operator's key.

    Raises:
        AddressRefused: it names another server, or options beside the server's.
    """
    try:
        _check(uri, settings)
    except ValueError as error:  # of urlsplit: a bracket or a port that is none
        raise AddressRefused(f"the s3:// address cannot be read: {error}") from None


def _check(uri: str, settings: Settings) -> None:
    parts = urlsplit(uri)
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("an s3:// address with a key in it is not taken; give the key to the server's environment")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - _OPTIONS):
        raise AddressRefused(f"an s3:// address with {', '.join(unknown)[:80]} is not taken")
    endpoint = options.get("endpoint_override")
    if endpoint is None or endpoint in _own_endpoints(settings):
        return
    server = urlsplit(endpoint if "://" in endpoint else f"{options.get('scheme', 'https')}://{endpoint}")
    host, address = read_host(server.hostname or "")
    port = server.port or SCHEMES.get(server.scheme, 443)
    if not any(entry.covers(host, address, port) for entry in AddressRules.of(settings).allow):
        raise AddressRefused(f"the S3 server {host}:{port} is not allowed; an operator can, in THORNBACK_FETCH_ALLOW")


def _own_endpoints(settings: Settings) -> set[str]:
    named = (dict(parse_qsl(urlsplit(uri).query)) for uri in (settings.storage, settings.dataset or ""))
    return {options["endpoint_override"] for options in named if "endpoint_override" in options}
