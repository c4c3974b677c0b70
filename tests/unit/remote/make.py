"""Sightings and items as tests need them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from thornback.jobs.items import ItemState
from thornback.providers.port import OrderPhase, Sighting

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROVIDER_ID = "k3v9c2m7xdrm00ckq1s8w5t4ze"
INPUTS = {"input_images": "https://files.test/ada.zip", "trigger_word": "ADA", "captioning": "automatic", "steps": 1000}
WEIGHTS = "https://replicate.delivery/xezq/abc/trained_model.tar"


def later(seconds: float) -> datetime:
    """So long after the beginning."""
    return BEGIN + timedelta(seconds=seconds)


def item(job_id: str, *, number: int = 1, order: int = 1) -> ItemState:
    """An order of which nothing is known but its place."""
    return ItemState(job_id=job_id, item=number, order=order, provider="replicate")


def starting(**changes: Any) -> Sighting:
    """A training that was accepted."""
    return replace(
        Sighting(
            provider="replicate",
            provider_id=PROVIDER_ID,
            phase=OrderPhase.STARTING,
            status="starting",
            model="ostris/flux-dev-lora-trainer",
            created_at=later(0),
            inputs=INPUTS,
            web_url=f"https://replicate.com/p/{PROVIDER_ID}",
        ),
        **changes,
    )


def processing(**changes: Any) -> Sighting:
    """One that runs."""
    return starting(
        **(
            {"phase": OrderPhase.PROCESSING, "status": "processing", "started_at": later(20), "logs": "step 1\n"}
            | changes
        )
    )


def succeeded(**changes: Any) -> Sighting:
    """One that has its weights."""
    facts: dict[str, Any] = {
        "phase": OrderPhase.SUCCEEDED,
        "status": "succeeded",
        "completed_at": later(1500),
        "outputs": (WEIGHTS,),
        "output": {"version": "acme/ada:" + "7d" * 32, "weights": WEIGHTS},
        "version": "acme/ada:" + "7d" * 32,
        "predict_time_s": 1472.7,
        "total_time_s": 1491.5,
    }
    return processing(**(facts | changes))


def failed(**changes: Any) -> Sighting:
    """One that failed."""
    facts: dict[str, Any] = {"phase": OrderPhase.FAILED, "status": "failed", "completed_at": later(30)}
    return processing(**(facts | {"error": "Prediction input failed validation"} | changes))


def cancelled(**changes: Any) -> Sighting:
    """One that was cancelled."""
    return starting(**({"phase": OrderPhase.CANCELLED, "status": "canceled", "completed_at": later(40)} | changes))
