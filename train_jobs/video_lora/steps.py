"""How each stage of a pipeline is gone through: skipped where it was finished, tried again, timed, written down."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from anyio.to_thread import run_sync

from thornback.jobs.video_stages import Took, VideoStage
from thornback.metrics.reporter import Reporter
from train_jobs.video_lora.journal import Entry, Journal, key_of
from train_jobs.video_lora.patience import patiently
from train_jobs.video_lora.teller import Teller
from train_jobs.video_lora.turns import Turns

Output = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a stage brought."""

    output: Output  # JSON-ready: what a later attempt needs to go on from here
    size: float = 1.0  # of its work, see StageClock
    seconds: float | None = None  # where the stage knows better than the clock, because it had to wait for others


class Steps:
    """Of one run."""

    def __init__(self, journal: Journal, teller: Teller, reporter: Reporter, turns: Turns) -> None:
        self.journal, self._teller, self._reporter, self._turns = journal, teller, reporter, turns
        self._turn = AsyncExitStack()
        self._has_turn = False
        self.took: dict[VideoStage, Took] = {}  # for the time left of later runs
        self.stage = VideoStage.FETCH  # the present one

    async def known(
        self, stage: VideoStage, inputs: Mapping[str, Any], holds: Callable[[Output], bool] | None = None
    ) -> Output | None:
        """The output of a stage where it was finished on the same inputs, and where it `holds` still."""
        key = key_of(stage, inputs)

        def look() -> Entry | None:
            entry = self.journal.find(stage, key)
            return entry if entry is not None and (holds is None or holds(entry.output)) else None

        entry = await self.patiently(partial(run_sync, look))
        if entry is None:
            return None
        self._note(stage, entry.seconds, entry.size)
        return entry.output

    async def take(
        self,
        stage: VideoStage,
        inputs: Mapping[str, Any],
        work: Callable[[], Awaitable[Done]],
        *,
        holds: Callable[[Output], bool] | None = None,
    ) -> Output:
        """Go through a stage, unless its output is known.

        Args:
            stage: which.
            inputs: all that its output depends on, JSON-ready.
            work: may be called again after a transient fault.
            holds: whether a known output is still where it was.
        """
        known = await self.known(stage, inputs, holds)
        return known if known is not None else await self.do(stage, inputs, work)

    async def do(self, stage: VideoStage, inputs: Mapping[str, Any], work: Callable[[], Awaitable[Done]]) -> Output:
        """Go through a stage in any case."""
        self.stage = stage
        await self._see_to_turn(stage)
        self._teller.enter(_parts(stage)[0])
        begun = time.monotonic()
        done = await self.patiently(work)
        seconds = round(done.seconds if done.seconds is not None else time.monotonic() - begun, 3)
        entry = Entry(key=key_of(stage, inputs), output=done.output, seconds=seconds, size=done.size)
        await self.patiently(partial(run_sync, self.journal.write, stage, entry))
        self._note(stage, seconds, done.size)
        self._teller.within(_parts(stage), 1.0)
        return done.output

    async def patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something in the present stage, again after transient faults; the job's log tells them."""
        return await patiently(work, say=lambda fault: self._reporter.log(f"{self.stage.value}: {fault}"))

    async def close(self) -> None:
        """Give up what is held."""
        self._has_turn = False
        await self._turn.aclose()

    def _note(self, stage: VideoStage, seconds: float, size: float) -> None:
        parts = _parts(stage)
        self.took |= {part: Took(seconds / len(parts), size) for part in parts}

    async def _see_to_turn(self, stage: VideoStage) -> None:
        if not stage.is_heavy:
            await self.close()
        elif not self._has_turn:
            await self._turn.enter_async_context(self._turns.take(self._wait))
            self._has_turn = True

    def _wait(self, before: int) -> None:
        others = "1 other video" if before == 1 else f"{before} other videos"
        self._teller.say(f"waiting for its turn: {others} first (THORNBACK_VIDEO_SLOTS)")


def _parts(stage: VideoStage) -> tuple[VideoStage, ...]:
    """What is shown of a stage: scenes and frames are found in one pass."""
    return (VideoStage.SCENES, VideoStage.FRAMES) if stage is VideoStage.FRAMES else (stage,)
