"""Hosted trainers, and the webhooks that they send."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings

from thornback.settings.values import AbsolutePath


class Providers(BaseSettings):
    """Hosted trainers, and the webhooks that they send."""

    replicate_api_token: Annotated[
        str | None,
        Field(
            repr=False,
            validation_alias=AliasChoices("THORNBACK_REPLICATE_API_TOKEN", "REPLICATE_API_TOKEN"),
            description="Turns the backend `replicate` on; REPLICATE_API_TOKEN is read too.",
        ),
    ] = None
    replicate_url: Annotated[str, Field(description="Where Replicate's API is.")] = "https://api.replicate.com"
    replicate_webhook_secrets: Annotated[
        str,
        Field(
            repr=False,
            description="whsec_…, or several with commas while one is replaced; empty: asked of Replicate.",
        ),
    ] = ""
    fal_key: Annotated[
        str | None,
        Field(
            repr=False,
            validation_alias=AliasChoices("THORNBACK_FAL_KEY", "FAL_KEY"),
            description="Turns the backend `fal` on; FAL_KEY is read too.",
        ),
    ] = None
    fal_url: Annotated[
        str | None, Field(description="Where fal's queue, storage and files are; empty: fal's own hosts.")
    ] = None
    fal_jwks_url: Annotated[str, Field(description="The keys that sign fal's webhooks.")] = (
        "https://rest.fal.ai/.well-known/jwks.json"
    )
    catalogue: Annotated[
        AbsolutePath | None,
        Field(description="A TOML file that adds to or replaces entries of the built-in list of trainers and models."),
    ] = None
    provider_slots: Annotated[
        dict[str, int], Field(description='Jobs at once at each provider, e.g. {"replicate": 4}; 10 where not named.')
    ] = {}
    provider_start_s: Annotated[
        float, Field(gt=0, description="An order that has not begun after so long is given up.")
    ] = 7200.0
    provider_run_s: Annotated[
        float, Field(gt=0, description="An order that has not ended so long after it began is given up.")
    ] = 86_400.0
    provider_settle_s: Annotated[
        float,
        Field(
            ge=0,
            description="An order whose answer was lost, and that its provider has not listed for so long, "
            "is sent again.",
        ),
    ] = 60.0
    webhook_tolerance_s: Annotated[float, Field(gt=0, description="Greatest age of a signed webhook.")] = 300.0
    webhook_max_bytes: Annotated[int, Field(ge=1024, description="Greatest body of a webhook.")] = 10_000_000
    webhook_keep_days: Annotated[
        float,
        Field(gt=0, description="Applied webhooks are kept for so long; dead letters until somebody deletes them."),
    ] = 30.0
