"""Who can look at pictures and say what they show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Captioner(Protocol):
    """A model, wherever it runs."""

    @property
    def name(self) -> str:
        """What the dataset says the caption is from."""
        ...

    @property
    def batch(self) -> int:
        """How many pictures it takes at once."""
        ...

    def describe(self, pictures: Sequence[Path]) -> list[str]:
        """What each picture shows, in the model's own words.

        Raises:
            Unavailable: it does not answer; trying again later may help.
            InvalidInput: it is set up wrongly.
        """
        ...
