"""Delivers a reporter's events to the metrics actor, from a plain thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from thornback.errors import Unavailable
from thornback.jobs.events import JobEvent
from thornback.metrics.actor import own_error
from thornback.metrics.names import find_actor_of
from thornback.metrics.port import Ack, Speaker

# Longer than the actor needs to restart and than a database may be locked; then the batch is sent again.
SEND_S = 20.0


class ActorSender:
    """One call to the actor at a time."""

    def __init__(self, speaker: Speaker, *, namespace: str) -> None:
        """Raises Unavailable where there is no actor."""
        self._speaker = speaker
        self._namespace = namespace
        self._actor: Any = find_actor_of(speaker.job_id, namespace)

    def __call__(self, events: Sequence[JobEvent]) -> Ack:
        """Deliver; raises a ThornbackError where that was not acknowledged."""
        if not ray.is_initialized():
            raise Unavailable("this process is no longer connected to Ray")
        try:
            ack: Ack = ray.get(self._actor.record.remote(list(events), self._speaker), timeout=SEND_S)
        except GetTimeoutError:
            raise Unavailable(f"the metrics actor did not answer within {SEND_S:g} s") from None
        except RayTaskError as error:
            raise own_error(error) from None
        except RayActorError as error:
            # another may have taken its name, or its place
            self._actor = find_actor_of(self._speaker.job_id, self._namespace)
            raise Unavailable(f"the metrics actor is away: {error}") from error
        except RayError as error:
            raise Unavailable(f"Ray lost the call: {error}") from error
        return ack
