"""Lines that trainers print, each with the samples that it must give.

A case begins with `== title [steps=… job_name=…]`. Below a line of the log, each `=> phase field=value …` is one
sample of it, whole: a field that is not named is unknown. A line without `=>` gives none. `of_epoch` marks a
percentage that is of one epoch only. Control characters are written as their pictures (␍ ␛ ␀ ␈ ␇).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path

from thornback.trainlog.sample import Sample

FOLDER = Path(__file__).parent
_PICTURES = str.maketrans({"␍": "\r", "␛": "\x1b", "␀": "\0", "␈": "\x08", "␇": "\x07"})
_FIELDS = ("step", "total", "percent", "rate", "loss", "lr", "epoch", "eta")

Expected = dict[str, str | float]


@dataclass(frozen=True)
class Line:
    """Of a log, as the trainer printed it."""

    text: str
    expected: list[Expected] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """One log."""

    title: str
    steps: int | None
    job_name: str | None
    lines: list[Line] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole log."""
        return "".join(line.text + "\n" for line in self.lines)


def cases() -> list[Case]:
    """All logs of all files."""
    return [case for path in sorted(FOLDER.glob("*.txt")) for case in _read(path)]


def agrees(sample: Sample, expected: Expected) -> bool:
    """Whether the sample says this and nothing else."""
    found = sample.as_dict()
    found["eta"] = found.pop("eta_seconds")
    if found["phase"] != expected["phase"] or sample.of_epoch != ("of_epoch" in expected):
        return False
    return all(_same(found[name], expected.get(name)) for name in _FIELDS)


def _same(found: str | float | None, expected: str | float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return isclose(float(found), float(expected), rel_tol=2e-4, abs_tol=1e-9)


def _read(path: Path) -> Iterator[Case]:
    case: Case | None = None
    for row in path.read_text(encoding="utf-8").split("\n"):
        if row.startswith("== "):
            if case:
                yield case
            case = _begin(row[3:])
        elif row.startswith("=> ") and case:
            case.lines[-1].expected.append(_expected(row[3:]))
        elif case:
            case.lines.append(Line(row.translate(_PICTURES)))
    if case:
        yield case


def _begin(row: str) -> Case:
    title, _, options = row.rstrip("]").partition(" [")
    given = dict(option.split("=") for option in options.split())
    steps = given.get("steps")
    return Case(title=title, steps=int(steps) if steps else None, job_name=given.get("job_name"))


def _expected(row: str) -> Expected:
    phase, *words = row.split()
    expected: Expected = {"phase": phase}
    for word in words:
        name, _, value = word.partition("=")
        expected[name] = float(value) if value else "yes"
    return expected
