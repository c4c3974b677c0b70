"""Who captions, by `captions.method`: nobody, an endpoint, or a model on an actor of the cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from thornback.datasets.captions.http import HttpCaptioner, key_for
from thornback.datasets.captions.port import Captioner
from thornback.jobs.video_lora import CaptionOptions
from thornback.net.rules import AddressRules
from thornback.settings import Settings
from train_jobs.video_lora.ray_runner import result_of

LOOK_S = 0.2


@contextmanager
def captioning(options: CaptionOptions, settings: Settings, check: Callable[[], None]) -> Iterator[Captioner | None]:
    """The captioner until the end of the block; None for the template alone.

    Args:
        options: the method and its model.
        settings: rules for addresses, and the endpoint's key.
        check: called while waiting; what it raises ends the wait.
    """
    if options.method == "template":
        yield None
    elif options.method == "http":
        rules = AddressRules.of(settings)
        url = str(options.url)
        yield HttpCaptioner(url=url, key=key_for(url, settings), rules=rules, model=options.model or "default")
    else:
        captioner = ActorCaptioner(options.method, str(options.model), check)
        try:
            yield captioner
        finally:
            captioner.close()


class ActorCaptioner:
    """A model on an actor with a GPU, where the cluster has any, else with a core."""

    batch = 8

    def __init__(self, method: str, source: str, check: Callable[[], None]) -> None:
        """Start it; the weights are loaded when it is first asked. Arguments as for ModelCaptioner."""
        self.name = f"{method} ({Path(source).name or source})"
        self._check = check
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        needs = {"num_gpus": 1} if resources.get("GPU", 0.0) >= 1 else {"num_cpus": 1}
        actor: Any = ray.remote(**needs)(_Model)  # type: ignore[call-overload]
        self._actor = actor.remote(method, source, self.batch)

    def describe(self, pictures: Sequence[Path]) -> list[str]:
        """See Captioner."""
        contents = [(path.name, path.read_bytes()) for path in pictures]
        answer = self._actor.describe.remote(contents)
        while not ray.wait([answer], timeout=LOOK_S)[0]:
            self._check()
        said: list[str] = result_of(answer)
        return said

    def close(self) -> None:
        """Give the GPU back."""
        ray.kill(self._actor)


class _Model:
    """Runs in the actor, maybe on another machine: pictures come as bytes."""

    def __init__(self, method: Any, source: str, batch: int) -> None:
        self._arguments = (method, source, batch)
        self._model: Any = None

    def describe(self, contents: Sequence[tuple[str, bytes]]) -> list[str]:
        # Loaded here and not before: what an actor's constructor raises reaches nobody as what it was.
        if self._model is None:
            from thornback.media.caption_models import ModelCaptioner

            method, source, batch = self._arguments
            self._model = ModelCaptioner(method, source, batch=batch)
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name, _ in contents]
            for path, (_, content) in zip(paths, contents, strict=True):
                path.write_bytes(content)
            said: list[str] = self._model.describe(paths)
        return said
