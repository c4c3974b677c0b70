"""What a storm asks of the platform, and how each job has to end. Pure: a seed gives the same plan again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from thornback.jobs.status import JobStatus

EPOCHS = 4
IMAGES = 3
STEPS = 300  # the fast simulator needs half a second for them
LONG_STEPS = 6000  # of a training that is cancelled before it ends
RETRIES = 50  # however often it is killed, a job comes to its own end


class Fate(StrEnum):
    """What its user does with a job."""

    WATCH = "watch"
    CANCEL = "cancel"
    DELETE = "delete"
    RETRY = "retry"  # it fails, and is run again


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One job."""

    name: str
    body: Mapping[str, Any] = field(repr=False)
    fate: Fate
    end: JobStatus | None  # None: deleted
    orders: int = 0  # that a provider gets where nothing cuts it short
    epochs: int = 0  # rows where nothing cuts it short
    after_s: float = 0.0  # its user cancels or deletes so long after it was made

    @property
    def cut_short(self) -> bool:
        """Whether it may end anywhere in the middle."""
        return self.fate in (Fate.CANCEL, Fate.DELETE)


MIX = ("train", "image_set", "train", "lora", "image_set")  # trainings on Ray; the rest at two providers


def plan(count: int, *, seed: int, dataset: str, mix: Sequence[str] = MIX) -> list[Planned]:
    """`count` jobs in a random order."""
    chance = random.Random(seed)
    kinds = [mix[number % len(mix)] for number in range(count)]
    chance.shuffle(kinds)
    return [_one(kind, f"{kind}-{number}", chance, dataset) for number, kind in enumerate(kinds)]


def _one(kind: str, name: str, chance: random.Random, dataset: str) -> Planned:
    fates = [Fate.WATCH, Fate.WATCH, Fate.WATCH, Fate.CANCEL, Fate.DELETE]
    fate = chance.choice([*fates, Fate.RETRY] if kind == "train" else fates)
    after_s = chance.uniform(0.0, 8.0)
    provider = chance.choice(["replicate", "replicate", "fal"])
    body, orders, epochs = _body(kind, fate, provider, dataset)
    end = {Fate.CANCEL: JobStatus.CANCELLED, Fate.DELETE: None, Fate.RETRY: JobStatus.FAILED}
    return Planned(
        name=name,
        body={**body, "job_name": name, "max_retries": RETRIES},
        fate=fate,
        end=end.get(fate, JobStatus.COMPLETED),
        orders=orders,
        epochs=epochs,
        after_s=after_s,
    )


def _body(kind: str, fate: Fate, provider: str, dataset: str) -> tuple[dict[str, Any], int, int]:
    if kind == "train":
        tags = {Fate.CANCEL: {"gate": "/nowhere"}, Fate.DELETE: {"gate": "/nowhere"}, Fate.RETRY: {"end": "raise"}}
        config = {"accelerator": "cpu", "epochs": EPOCHS, "pretrained": False, "data": dataset}
        return {"config": config, "tags": tags.get(fate, {})}, 0, EPOCHS
    if kind == "image_set":
        images = {"character": "ada", "prompts": ["front view", "in profile", "from behind"], "count": IMAGES}
        return {"kind": kind, "backend": provider, "config": images}, IMAGES, 0
    steps = LONG_STEPS if fate is Fate.CANCEL else STEPS
    lora: dict[str, Any] = {"dataset": dataset, "trigger_word": "ADA", "steps": steps}
    return {"kind": kind, "backend": provider, "config": lora}, 1, 0
