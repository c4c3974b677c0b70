"""What a run costs. Neither provider tells it, so it is its own figures times the price in the catalogue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from thornback.providers.port import OrderPhase, Sighting

if TYPE_CHECKING:
    from thornback.jobs.image_set import ImageSetConfig
    from thornback.jobs.lora import RemoteLoraConfig
    from thornback.providers.entry import ImageModel, Trainer


class Price(BaseModel):
    """What one unit costs."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    per: Annotated[Literal["second", "step", "image", "megapixel", "run"], Field(description="second: of run time.")]
    usd: Annotated[float, Field(ge=0)]
    minimum: Annotated[float, Field(ge=0, description="Units that are charged at least.")] = 0
    hardware: Annotated[str | None, Field(description="What the rate per second is for.")] = None

    def of(self, units: float) -> Cost:
        """The price of so many units."""
        charged = max(units, self.minimum)
        name = self.per if charged == 1 else f"{self.per}s"
        least = f" (the least that is charged; {units:g} ran)" if charged > units else ""
        on = f" of {self.hardware}" if self.hardware else ""
        return Cost(usd=round(charged * self.usd, 6), basis=f"{charged:g} {name}{on}{least} at {self.usd:g} USD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An amount and how it came about."""

    usd: float
    basis: str  # in words, for people


def estimate_training(trainer: Trainer, config: RemoteLoraConfig) -> Cost:
    """Before a training starts; time grows with the steps."""
    steps = trainer.steps(config)
    if trainer.price.per == "step":
        return trainer.price.of(steps or 0)
    if trainer.price.per == "second":
        usual = trainer.steps(config.model_copy(update={"steps": None, "inputs": {}}))
        share = steps / usual if steps and usual else 1.0
        return trainer.price.of(round(trainer.typical_s * share, 1))
    return trainer.price.of(1)


def actual_training(trainer: Trainer, sighting: Sighting, config: RemoteLoraConfig) -> Cost | None:
    """After a training has ended."""
    if trainer.price.per == "second":
        return _by_time(trainer.price, sighting)
    if sighting.phase is not OrderPhase.SUCCEEDED:
        return None  # what a provider charges for a run that it broke off is not known
    return trainer.price.of(trainer.steps(config) or 0 if trainer.price.per == "step" else 1)


def estimate_images(model: ImageModel, config: ImageSetConfig) -> Cost:
    """Before a set starts."""
    price = model.price
    if price.per == "second":
        return price.of(round(model.typical_s * config.total, 1))
    return price.of(config.total * (_megapixels(config) if price.per == "megapixel" else 1))


def actual_image(model: ImageModel, sighting: Sighting, config: ImageSetConfig) -> Cost | None:
    """After one order has ended."""
    price = model.price
    if price.per == "second":
        return _by_time(price, sighting)
    if sighting.phase is not OrderPhase.SUCCEEDED:
        return None
    images = 1 if price.per == "run" else len(sighting.outputs) or 1
    return price.of(images * (_megapixels(config) if price.per == "megapixel" else 1))


def _by_time(price: Price, sighting: Sighting) -> Cost | None:
    return price.of(sighting.predict_time_s) if sighting.predict_time_s is not None else None


def _megapixels(config: ImageSetConfig) -> int:
    """Of one image, rounded up as they are charged; 1 where the size is the model's own."""
    if config.width is None or config.height is None:
        return 1
    return math.ceil(config.width * config.height / 1_000_000)
