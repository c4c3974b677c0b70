"""What some settings are made of."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class AlertRule(BaseModel):
    """When failed jobs are worth an alert; what is left out concerns every job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    failures: Annotated[int, Field(ge=1, le=1000, description="So many …")] = 1
    within_minutes: Annotated[float, Field(gt=0, le=10_080, description="… within so long.")] = 60.0
    kind: str | None = None  # e.g. lora
    backend: str | None = None  # e.g. replicate
    reason: str | None = None  # a FailureReason, e.g. out_of_memory
    tags: dict[str, str] = {}  # all of them


class Quota(BaseModel):
    """How much a user or a team may have; what is left out is not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    jobs: Annotated[int | None, Field(ge=0, le=10**9, description="At once, waiting or running.")] = None
    gpu_hours: Annotated[float | None, Field(ge=0, le=10**9, description="A month, on our own GPUs.")] = None
    storage_bytes: Annotated[int | None, Field(ge=0, le=2**62, description="Of files that jobs have made.")] = None
    usd_day: Annotated[float | None, Field(ge=0, le=10**9, description="US dollars a day, by UTC.")] = None
    usd_month: Annotated[float | None, Field(ge=0, le=10**9, description="US dollars a month, by UTC.")] = None


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


def is_loopback(host: str) -> bool:
    """True for a name or an address of this machine that no other machine reaches."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str:
    """The host of a URL, or of host:port; empty where there is none."""
    return urlsplit(url if "://" in url else f"//{url}").hostname or ""
