"""Which buckets and S3-compatible servers an s3:// address of a user may lead to, and with which key it is read."""

from __future__ import annotations

from fnmatch import fnmatchcase
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from thornback.errors import AddressRefused
from thornback.net.rules import SCHEMES, AddressRules, read_host
from thornback.settings import Settings

_OPTIONS = frozenset({"endpoint_override", "region", "scheme"})


def check_s3(uri: str, settings: Settings) -> None:
    """Let an address pass that leads to a bucket that is allowed, at AWS, the operator's own server, or an allowed one.

    Such addresses are read with the platform's own credentials, so users reach no further with them than an operator
    wants: where they have to sign in only buckets that are named, and what the platform itself stores never.

    Another server, though public, is refused: the client resolves its name by itself, time and again, so that no
    check of ours would hold, and it would be sent a signature made with the operator's key.

    Raises:
        AddressRefused: it names another server or bucket, or options beside the server's.
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
    _check_bucket(parts.netloc, unquote(parts.path), uri, settings)
    if endpoint is None or endpoint in _own_endpoints(settings):
        return
    server = urlsplit(endpoint if "://" in endpoint else f"{options.get('scheme', 'https')}://{endpoint}")
    host, address = read_host(server.hostname or "")
    port = server.port or SCHEMES.get(server.scheme, 443)
    if not any(entry.covers(host, address, port) for entry in AddressRules.of(settings).allow):
        raise AddressRefused(f"the S3 server {host}:{port} is not allowed; an operator can, in THORNBACK_FETCH_ALLOW")


def is_s3(address: str) -> bool:
    """True for what is opened as an s3:// address."""
    return address[:5].lower() == "s3://"


def with_key(uri: str, storage: str) -> str:
    """An s3:// address with the key that stands in the storage's, where it leads to the same bucket and server."""
    if not is_s3(uri) or not is_s3(storage):
        return uri
    theirs, ours = urlsplit(uri), urlsplit(storage)
    user, at, bucket = ours.netloc.rpartition("@")
    is_same = theirs.netloc == bucket and _server(theirs) == _server(ours)
    return urlunsplit(theirs._replace(netloc=f"{user}@{bucket}")) if at and is_same else uri


def has_key(uri: str | None) -> bool:
    """True for an s3:// address with a key in it."""
    return uri is not None and is_s3(uri) and "@" in urlsplit(uri).netloc


def _check_bucket(bucket: str, key: str, uri: str, settings: Settings) -> None:
    patterns = [text.strip() for text in settings.fetch_buckets.split(",") if text.strip()]
    if not settings.has_access_control and not patterns:
        return
    if settings.dataset is not None and uri.partition("?")[0] == without_key(settings.dataset).partition("?")[0]:
        return  # everybody may train on it
    if settings.has_access_control and _is_of_storage(bucket, key, settings.storage):
        raise AddressRefused("what the platform stores is not read by its address; name upload:<id> or job:<id>")
    if not any(fnmatchcase(bucket, pattern) for pattern in patterns):
        raise AddressRefused(f"the bucket {bucket[:80]} is not allowed; an operator can, in THORNBACK_FETCH_BUCKETS")


def _is_of_storage(bucket: str, key: str, storage: str) -> bool:
    """True within the platform's own folder, and for what holds it."""
    if not is_s3(storage):
        return False
    ours = urlsplit(storage)
    if ours.netloc.rpartition("@")[2] != bucket:
        return False
    theirs, own = (f"{path.strip('/')}/".lstrip("/") for path in (key, unquote(ours.path)))
    return theirs.startswith(own) or own.startswith(theirs)


def without_key(uri: str) -> str:
    """An s3:// address without the key in it; every other as it is."""
    if not has_key(uri):
        return uri
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _server(parts: SplitResult) -> str | None:
    return dict(parse_qsl(parts.query)).get("endpoint_override")


def _own_endpoints(settings: Settings) -> set[str]:
    named = (dict(parse_qsl(urlsplit(uri).query)) for uri in (settings.storage, settings.dataset or ""))
    return {options["endpoint_override"] for options in named if "endpoint_override" in options}
