"""Lines that are no progress but tell how to read it: totals, epochs, the job's name, where a resume begins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from thornback.trainlog.numbers import WHOLE, count

_TOTAL = re.compile(
    rf"(?:\btotal (?:[a-z]+ ){{0,2}}steps\b|\b(?:max|num|total)_(?:train(?:ing)?_)?steps\b|"
    rf"\bmax(?:imum)? (?:train(?:ing)? )?steps\b"
    rf"|^\s*['\"]steps['\"])[^:=\d]{{0,60}}[:=]\s{{0,4}}['\"]?(?P<total>{WHOLE})(?![\d/])",
    re.IGNORECASE,
)
_EPOCHS = re.compile(
    rf"(?:\bnum[_ ](?:train[_ ])?epochs\b|\bmax[_ ](?:train[_ ])?epochs?\b|"
    rf"\btotal epochs\b)[^:=\d]{{0,40}}[:=]\s{{0,4}}['\"]?(?P<epochs>{WHOLE})(?![\d/])",
    re.IGNORECASE,
)
_JOB = re.compile(r"\bRunning job: (?P<name>\S.{0,119}?)\s*$")
_RESUME = re.compile(
    rf"(?:resum|continu|start(?:ing|ed)? (?:training )?from|restor|restart|loaded|skipp|picking up)[^\n]{{0,160}}?"
    rf"(?:\b(?:global[_ ]?)?steps?\b|\biter(?:ation)?s?\b|checkpoint-|"
    rf"step_?)[^\d\n]{{0,12}}?(?P<step>{WHOLE})(?![\d.]|\s?/|\s?of\b)",
    re.IGNORECASE,
)
_RESUME_FIRST = re.compile(
    rf"\bskip(?:ping)? (?:the )?(?:first )?(?P<step>{WHOLE}) (?:steps|batches|iterations)", re.IGNORECASE
)


_RESUMES = ("resum", "continu", "start", "restor", "loaded", "skipp", "picking")


@dataclass(frozen=True, slots=True)
class Hint:
    """What a line announces; None where it says nothing of it."""

    total: int | None = None
    epochs: int | None = None
    job: str | None = None
    resume: int | None = None


def find_hint(line: str) -> Hint | None:
    """Cheap for lines that announce nothing."""
    lowered = line.lower()
    counted = "step" in lowered or "iter" in lowered or "skip" in lowered or "checkpoint-" in lowered
    total = _TOTAL.search(line) if "steps" in lowered else None
    epochs = _EPOCHS.search(line) if "epoch" in lowered else None
    job = _JOB.search(line) if "Running job: " in line else None
    resume = _resumed(line, lowered) if counted and not total else None
    if not (total or epochs or job or resume):
        return None
    return Hint(
        total=(count(total["total"]) or None) if total else None,
        epochs=(count(epochs["epochs"]) or None) if epochs else None,
        job=job["name"] if job else None,
        resume=count(resume["step"]) if resume else None,
    )


def _resumed(line: str, lowered: str) -> re.Match[str] | None:
    if not any(word in lowered for word in _RESUMES):
        return None
    return _RESUME_FIRST.search(line) or _RESUME.search(line)
