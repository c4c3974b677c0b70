"""What things cost, and how much each may have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from thornback.settings.values import Dollars, Quota


class Spending(BaseSettings):
    """What things cost, and how much each may have."""

    prices: Annotated[
        dict[Literal["GPU", "CPU"], Dollars],
        Field(description='US dollars for an hour of our own machines, e.g. {"GPU": 2.5, "CPU": 0.04}; else nothing.'),
    ] = {}
    quota_user: Annotated[
        Quota, Field(description='What each user may have, e.g. {"jobs": 20, "gpu_hours": 200, "usd_month": 500}.')
    ] = Quota()
    quota_team: Annotated[Quota, Field(description="The same of each team, for all its members together.")] = Quota()
    quota_warn_share: Annotated[
        float, Field(gt=0, le=1, description="From this share of a quota on there is a warning.")
    ] = 0.8
    quota_overrun: Annotated[
        Literal["stop", "finish"],
        Field(
            description="What becomes of a run on our own machines that needs more than was set aside for it where a "
            "quota leaves no more: stop: it fails and can be retried; finish: it goes on."
        ),
    ] = "stop"
    reserve_margin: Annotated[
        float, Field(ge=1, le=10, description="What is paid by time is set aside so many times its estimate.")
    ] = 1.2
    reserve_hours: Annotated[
        float, Field(gt=0, le=10_000, description="Set aside for a job of our own of which no past run tells the time.")
    ] = 1.0
    reserve_usd: Annotated[Dollars, Field(description="Set aside for an order that the catalogue has no price of.")] = (
        10.0
    )
