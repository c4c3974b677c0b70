"""What stages took in earlier runs of the platform: one small file for each run, the newest are kept."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from thornback.artifacts.files import join, locate
from thornback.errors import ThornbackError
from thornback.jobs.video_stages import History, Took, VideoStage

KEPT = 40  # runs


class Durations:
    """Below the platform's caches, by what trains: its time differs most."""

    def __init__(self, cache_uri: str, *, trainer: str) -> None:
        """`cache_uri`: a folder for all runs; `trainer`: e.g. `fal:flux-dev-lora`."""
        self._uri = join(cache_uri, "durations")
        self._trainer = trainer

    def read(self) -> History:
        """Of all runs, the newest first; trainings only of the same trainer. What cannot be read is left out."""
        found: dict[str, list[Took]] = defaultdict(list)
        try:
            place = locate(self._uri)
            for name in sorted((entry.path for entry in place.files()), reverse=True)[:KEPT]:
                self._add(json.loads((place / name).read_bytes()), found)
        except (ThornbackError, OSError, ValueError, KeyError, TypeError):
            return found  # it is only a guess that gets worse
        return found

    def write(self, name: str, took: Mapping[VideoStage, Took]) -> None:
        """Keep a run's; `name` grows along time. Runs that are too old go."""
        place = locate(self._uri)
        stages = {stage.name: asdict(one) for stage, one in took.items()}
        (place / f"{name}.json").write_bytes(json.dumps({"trainer": self._trainer, "stages": stages}).encode())
        for old in sorted((entry.path for entry in place.files()), reverse=True)[KEPT:]:
            (place / old).delete_file()

    def _add(self, run: Mapping[str, Any], found: dict[str, list[Took]]) -> None:
        for stage, took in run["stages"].items():
            if stage != VideoStage.TRAIN.name or run["trainer"] == self._trainer:
                found[stage].append(Took(float(took["seconds"]), float(took["size"])))
