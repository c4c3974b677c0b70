"""What a dataset consists of and what was left out of it, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenFile:
    """A file that cannot be used and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReport:
    """The result of a check; JSON-ready through `as_dict`."""

    path: str
    layout: Literal["folder", "manifest"]
    found: int  # clips listed
    kept: int  # clips to train and evaluate on
    dropped: Mapping[str, int]  # clips left out, by reason: min_snr_db, only_approved, broken
    broken: tuple[BrokenFile, ...]  # all of them, each named
    broken_share: float  # of the clips that the filters kept
    classes: Mapping[str, int]  # kept clips of each class, in the order of their indices
    train: int
    val: int
    test: int
    split: Literal["manifest", "stratified"]
    sample_rates: Mapping[int, int]  # Hz -> clips
    seconds: float  # of all kept clips together
    shortest_seconds: float
    longest_seconds: float
    warnings: tuple[str, ...]

    def as_dict(self, *, most_broken: int = 20) -> dict[str, Any]:
        """For JSON: at most `most_broken` broken files are named, `dropped` has their number."""
        values = asdict(self)
        values["broken"] = [asdict(file) for file in self.broken[:most_broken]]
        values["warnings"] = list(self.warnings)
        values["sample_rates"] = {str(rate): count for rate, count in self.sample_rates.items()}
        return values

    def lines(self) -> list[str]:
        """For people."""
        dropped = ", ".join(f"{count} by {reason}" for reason, count in self.dropped.items() if count)
        lines = [
            f"{self.kept} of {self.found} clips kept" + (f", dropped {dropped}" if dropped else ""),
            f"{len(self.classes)} classes: " + ", ".join(f"{name} {count}" for name, count in self.classes.items()),
            f"{self.train} to train on, {self.val} to validate, {self.test} to test ({self.split} split)",
        ]
        lines += [f"broken: {file.path}: {file.reason}" for file in self.broken[:20]]
        return lines + [f"note: {warning}" for warning in self.warnings]
