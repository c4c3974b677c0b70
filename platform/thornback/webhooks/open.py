"""Put a receiver together from the settings."""

from __future__ import annotations

from functools import partial

from thornback.metrics.port import Recorder
from thornback.providers.catalogue import Catalogue
from thornback.providers.open import configured
from thornback.settings import Settings
from thornback.webhooks.find import Asks, BatchedLookup
from thornback.webhooks.meaning import Interpreter
from thornback.webhooks.receive import Receiver
from thornback.webhooks.unfollowed import with_log
from thornback.webhooks.verify import fal_verifier, replicate_verifier


def open_receiver(settings: Settings, *, catalogue: Catalogue, ask: Asks, recorder: Recorder) -> Receiver:
    """A receiver; it connects to nothing before the first webhook.

    Args:
        settings: secrets, keys, tolerance; which providers are followed.
        catalogue: reads the inputs of trainings that were started elsewhere.
        ask: the database.
        recorder: the one writer.
    """
    return Receiver(
        verifiers={"replicate": replicate_verifier(settings), "fal": fal_verifier(settings)},
        look_up=BatchedLookup(ask),
        interpret=Interpreter(catalogue=catalogue, followed=configured(settings)),
        complete=partial(with_log, ask),
        recorder=recorder,
    )
