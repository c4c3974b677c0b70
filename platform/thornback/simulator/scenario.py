"""How the simulated providers behave: their keys, how long things take, and their limits."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field


def _secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Seconds are those of the true providers, before `speed` divides them."""

    speed: float = 0.0  # 0: the clock stands and is moved by hand
    account: str = "simulator"  # the owner of models at Replicate, and fal's user id
    replicate_token: str = "r8_simulator"  # noqa: S105 - opens nothing but this simulator
    fal_key: str = "simulator:key"
    webhook_secret: str = field(default_factory=_secret)
    models: tuple[str, ...] = ()  # more owner/name that exist at Replicate

    queue_s: float = 20.0  # before a training begins
    setup_s: float = 60.0  # base weights, data set, caches
    save_s: float = 15.0
    step_s: float | None = None  # None: each trainer's own
    image_queue_s: float = 0.2
    image_s: float = 0.7
    bar_every_s: float = 5.0  # how often a trainer redraws its bar

    output_ttl_s: float = 3600.0  # then output files are gone, and Replicate empties its predictions
    creates_per_minute: int = 600
    calls_per_minute: int = 3000
    list_unfinished: bool = False  # whether fal's list of requests names those that have not ended
    webhook_timeout_s: float = 15.0  # real seconds
