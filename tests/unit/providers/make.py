"""Short ways to the values that these tests need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.lora import RemoteLoraConfig
from thornback.providers.port import Order

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ZIP = "https://files.example/set.zip"
VERSION = "4ffd32160efd92e956d39c5338a9b8fbafca58e03f791f6d8011f3e20e8ea6fa"
TRAINER = f"ostris/flux-dev-lora-trainer:{VERSION}"


class Clock:
    """A clock that the test moves."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        """Move it on."""
        self.at += timedelta(seconds=seconds)


def lora(**fields: Any) -> RemoteLoraConfig:
    """A training of the default trainer."""
    return RemoteLoraConfig(**({"dataset": ZIP} | fields))


def image_set(**fields: Any) -> ImageSetConfig:
    """A set of one image."""
    return ImageSetConfig(**({"character": "Ada", "prompts": ["a portrait"]} | fields))


def order(**fields: Any) -> Order:
    """The first order of a training."""
    given: dict[str, Any] = {
        "job_id": "job-1",
        "item": 1,
        "number": 1,
        "endpoint": TRAINER,
        "call": "training",
        "inputs": {"input_images": ZIP, "steps": 1000},
        "webhook_url": None,
        "destination": "acme/ada",
        "intended_at": NOON,
    }
    return Order(**(given | fields))
