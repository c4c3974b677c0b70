"""Where the API listens, and who may look."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class Server(BaseSettings):
    """Where the API listens, and who may look."""

    host: Annotated[str, Field(description="Where the API listens.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535, description="The port it listens on.")] = 8001
    public_url: Annotated[
        str | None, Field(description="How clients reach the API, where that is not what their request says.")
    ] = None
    url: Annotated[
        str | None, Field(description="Where the command line and the SDK find the API; empty: host and port.")
    ] = None
    links_secret: Annotated[
        str,
        Field(
            repr=False,
            description="Signs links to files of a storage in a folder, the same on all machines; empty: made once "
            "and kept in home.",
        ),
    ] = ""
    encryption_keys: Annotated[
        str,
        Field(
            repr=False,
            description="Encrypts the secrets of webhooks out, the same on all machines: 32 bytes in URL-safe base64, "
            "or several with commas, the newest first, while one is replaced; empty: made once and kept in home.",
        ),
    ] = ""
    access: Annotated[
        Literal["auto", "on", "off"],
        Field(
            description="on: everybody signs in or sends an API key; auto: on, unless the API listens on loopback "
            "only and has no public address; off: never, which other addresses than loopback refuse."
        ),
    ] = "auto"
    oidc_issuer: Annotated[
        str | None,
        Field(description="An OpenID provider where people sign in, e.g. https://accounts.google.com; empty: none."),
    ] = None
    oidc_client_id: Annotated[str | None, Field(description="What the provider calls this server.")] = None
    oidc_client_secret: Annotated[
        str | None, Field(repr=False, description="What the provider knows this server by; empty: PKCE alone.")
    ] = None
    oidc_name: Annotated[str | None, Field(description="What the page calls it; empty: its host.")] = None
    oidc_domains: Annotated[
        list[str],
        Field(
            description='Whose verified e-mail addresses sign in by themselves, e.g. ["example.org"]; others only '
            "where they have linked their account to a user."
        ),
    ] = []
    oidc_role: Annotated[
        Literal["viewer", "trainer", "admin"], Field(description="What those may who come for the first time.")
    ] = "viewer"
    shared_jobs: Annotated[
        bool, Field(description="Whether everybody who is signed in may look at jobs that have no team.")
    ] = True
    session_days: Annotated[float, Field(gt=0, le=365, description="How long a browser stays signed in.")] = 14.0
    allowed_origins: Annotated[
        list[str],
        Field(description='Other sites whose pages may call the API, e.g. ["https://app.example"].'),
    ] = []
    api_key: Annotated[str | None, Field(repr=False, description="What the command line and the SDK send: tbk_….")] = (
        None
    )
    max_streams: Annotated[int, Field(ge=1, description="Live clients per replica.")] = 2000
    max_streams_per_user: Annotated[
        int, Field(ge=1, description="Of them, how many may be of one user; counted where access is on.")
    ] = 1000
    rate_limit: Annotated[
        Literal["auto", "on", "off"], Field(description="auto: requests are counted where access control is on.")
    ] = "auto"
    rate_limits: Annotated[
        dict[Literal["reads", "creates", "uploads", "sign_in", "address"], str],
        Field(
            description="Requests of one key and, as address, of one address, over those that stand here: "
            '{"creates": "60/minute"}.'
        ),
    ] = {}
    rate_replicas: Annotated[
        int, Field(ge=1, description="API replicas that share these limits: each allows its part of them.")
    ] = 1
    trusted_proxies: Annotated[
        list[str], Field(description="Networks of proxies whose X-Forwarded-For is believed, e.g. 10.0.0.0/8.")
    ] = []
