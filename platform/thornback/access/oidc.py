"""Signing in at an OpenID provider: what of its answer is believed, and whom it lets in. Knows no HTTP."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from thornback.errors import Forbidden, NotSignedIn

FLOW_TIME = timedelta(minutes=10)
LEEWAY_S = 60  # between their clock and ours

# Signatures that only the provider can make; `none` and those of a shared secret are not among them.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")

_CONTEXT = b"thornback oidc 1:"
_GOOGLE = "https://accounts.google.com"
_GOOGLE_MAIL = frozenset({"gmail.com", "googlemail.com"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A sign-in that is under way, as the browser keeps it in a cookie that scripts cannot read."""

    state: str
    nonce: str
    verifier: str  # of PKCE
    back: str  # where in the console it began
    link: str | None  # the user that the account is to stand for from now on
    expires: int  # Unix time

    @classmethod
    def begin(cls, *, back: str, link: str | None, now: datetime) -> Flow:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        expires = int((now + FLOW_TIME).timestamp())
        return cls(state=state, nonce=nonce, verifier=verifier, back=back, link=link, expires=expires)

    @property
    def digest(self) -> str:
        """What is kept of the state once it has come back."""
        return hashlib.sha256(self.state.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is to the provider."""

    issuer: str
    subject: str
    email: str | None  # only where the provider has verified it
    hosted_domain: str | None = None  # Google: the organisation that the account belongs to


def write_flow(flow: Flow, secret: bytes) -> str:
    """The flow as text: base64url of its content, a dot, base64url of its HMAC-SHA256."""
    content = json.dumps(asdict(flow)).encode()
    return f"{_encode(content)}.{_encode(_sign(content, secret))}"


def read_flow(text: str, secret: bytes, *, state: str, now: datetime) -> Flow:
    """The flow that a state belongs to. Raises NotSignedIn for one that is not this browser's, or that has ended."""
    body, _, signature = text.partition(".")
    try:
        content = _decode(body)
        is_ours = hmac.compare_digest(_sign(content, secret), _decode(signature))
    except (binascii.Error, ValueError):
        is_ours = False
    if not is_ours:
        raise NotSignedIn("this sign-in did not begin in this browser; begin again")
    flow = Flow(**json.loads(content))
    if not hmac.compare_digest(flow.state.encode(), state.encode()):
        raise NotSignedIn("this sign-in did not begin in this browser; begin again")
    if now.timestamp() > flow.expires:
        raise NotSignedIn("this sign-in took too long; begin again")
    return flow


def read_id_token(
    token: str, keys: KeySet, *, issuer: str, client_id: str, nonce: str, now: datetime
) -> Mapping[str, Any]:
    """The claims of an ID token (OpenID Connect Core 1.0, 3.1.3.7). Raises NotSignedIn for one that is not for us."""
    try:
        claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise NotSignedIn(f"what the provider says of you cannot be believed: {error}") from None
    audience = claims["aud"]
    if claims.get("azp", client_id) != client_id or (isinstance(audience, list) and len(audience) > 1):
        raise NotSignedIn("what the provider says of you is meant for another application as well")
    return claims


def identity_of(claims: Mapping[str, Any], *, issuer: str) -> Identity:
    """Who that is; an e-mail address that is not verified is none."""
    email, hosted = claims.get("email"), claims.get("hd")
    is_verified = claims.get("email_verified") in (True, "true")
    return Identity(
        issuer=issuer,
        subject=str(claims["sub"]),
        email=email.strip().lower() if isinstance(email, str) and is_verified else None,
        hosted_domain=hosted.lower() if isinstance(hosted, str) else None,
    )


def admitted_name(identity: Identity, domains: Collection[str]) -> str:
    """The name of the user that somebody is who comes for the first time: the verified e-mail address.

    Raises Forbidden where the address is not verified or of none of the domains. For Google that is not enough: an
    account of its own can have the address of an organisation that its owner has left, so `hd` has to say it too.
    """
    if identity.email is None:
        raise Forbidden("the provider has not verified an e-mail address of this account; ask an admin to let you in")
    domain = identity.email.rpartition("@")[2]
    if domain not in {name.lower().removeprefix("@") for name in domains}:
        raise Forbidden(f"nobody of {domain} signs in here by themselves; ask an admin to let you in")
    if identity.issuer == _GOOGLE and domain not in _GOOGLE_MAIL and identity.hosted_domain != domain:
        raise Forbidden(f"this account does not belong to the organisation {domain}")
    return identity.email


def _sign(content: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + content, hashlib.sha256)


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
