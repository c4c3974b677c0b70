"""Who trains for us elsewhere: state, catalogue, and what a job there would cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends

from serve_apps.api import estimate, provider_views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.examples import ESTIMATE_EXAMPLES
from serve_apps.api.provider_schemas import CatalogueOut, EstimateOut, ProviderList, ProviderOut
from serve_apps.api.spec_body import SpecBody
from serve_apps.api.views import API_PREFIX
from thornback.errors import ThornbackError
from thornback.jobs.spec import Provider
from thornback.providers.open import KEYS, NAMES, configured

HEALTH_S = 2.0

router = APIRouter(tags=["providers"])


@router.get("/api/v1/providers", summary="Providers")
async def list_providers(context: Context) -> ProviderList:
    """Each with its breaker, its limits and its orders, whether it is set up or not."""
    return ProviderList(providers=list(await asyncio.gather(*(_provider(context, name) for name in NAMES))))


@router.get("/api/v1/providers/{name}/catalogue", summary="What a provider has")
async def provider_catalogue(context: Context, name: Provider) -> CatalogueOut:
    """Trainers and image models with their inputs, ranges and prices."""
    return provider_views.catalogue(name, context.catalogue)


@router.post(f"{API_PREFIX}/estimate", dependencies=[Depends(json_only)], summary="What a job would cost and take")
async def estimate_job(
    context: Context, spec: Annotated[SpecBody, Body(openapi_examples=ESTIMATE_EXAMPLES)]
) -> EstimateOut:
    """Nothing is ordered; the provider need not be set up."""
    return await context.read(lambda store: estimate.estimate(spec, context.catalogue, store))


async def _provider(context: ApiContext, name: str) -> ProviderOut:
    orders = await context.read(lambda store: store.open_orders(name))
    health: Mapping[str, Any] | None = None
    problem: str | None = None
    if name not in configured(context.settings):
        problem = f"{KEYS[name]} is not set"
    else:
        try:
            async with asyncio.timeout(HEALTH_S):
                health = await context.tracking.tracker(name).health()
        except TimeoutError:
            problem = f"no answer within {HEALTH_S:g} s"
        except ThornbackError as error:
            problem = error.message
    return provider_views.provider(name, context.settings, open_orders=len(orders), health=health, problem=problem)
