"""Text of a trainer's log in chunks of any size -> samples. Pure: no clock, no files.

The same text gives the same samples, however it is cut. Nothing that a log holds raises, and the time a line
takes is in proportion to its length.
"""

from __future__ import annotations

import re
from collections import deque

from thornback.trainlog.bars import Bar, find_bars
from thornback.trainlog.drawn import find_drawn
from thornback.trainlog.fields import read_fields
from thornback.trainlog.hints import find_hint
from thornback.trainlog.lines import LineBuffer
from thornback.trainlog.names import clean_name, phase_of, strip_prefix
from thornback.trainlog.plain import find_plain
from thornback.trainlog.reading import Reading
from thornback.trainlog.run import TrainingRun
from thornback.trainlog.sample import Phase, Sample

_CONTEXT_LINES = 6
_CONTEXT_LENGTH = 120  # characters of a line that may announce what comes; longer ones are warnings and dumps
_TEXT = 500
_LONGEST_NAME = 120

_COLUMNS = re.compile(
    r"(?:^|\s)(?P<epoch>\d{1,6})/(?P<epochs>\d{1,6})\s{1,12}[\d.]{1,8}[KMG]i?B?\s[^|]{0,200}$"
)  # Ultralytics
_TUNE = re.compile(r"(?:^|\s)(?P<epoch>\d{1,6})\|(?P<step>\d{1,12})\|[^|]{0,120}$")  # torchtune: epoch, step, loss
_STEP_OF = re.compile(r"\bsteps? (?P<n>\d{1,12})/(?P<total>\d{1,12})\b", re.IGNORECASE)  # inside a bar's name
_BEGINS = re.compile(
    r"running training|start(?:ing|ed)? training|学習開始|total optimi[sz]ation steps"
    r"|num(?:ber of)? (?:epochs|trainable)",
    re.I,
)
_SPOKEN = re.compile(
    r"^[^a-z]{0,12}(?:[a-z]+ing\b|running evaluation|map\b|fetch|downloads?\b|evaluat|validat|sampl|sanity|"
    r"transcribe|generate)",
    re.I,
)
_NEUTRAL = re.compile(
    r"^\W{0,12}(?:start|begin|runn|launch|us|sett|enter|train|continu|resum|enabl|turn)ing\b", re.IGNORECASE
)
_TAIL_FIELDS = re.compile(r"\s*(?:[|,;-]|(?:avg_|train_)?loss\b|lr\b)", re.IGNORECASE)


class LogParser:
    """One log from its beginning.

    `steps` is what was asked for, `job_name` what the trainer calls its bar; both may be unknown.
    """

    def __init__(self, *, steps: int | None = None, job_name: str | None = None) -> None:
        self._lines = LineBuffer()
        self._run = TrainingRun(steps=steps, job_name=job_name)
        self._before: deque[str] = deque(maxlen=_CONTEXT_LINES)

    def feed(self, text: str) -> list[Sample]:
        """Samples of the lines that this chunk has completed."""
        samples: list[Sample] = []
        for line in self._lines.feed(text):
            self._line(line, samples)
        return samples

    def close(self) -> list[Sample]:
        """Samples of the last line, where nothing ended it."""
        samples: list[Sample] = []
        for line in self._lines.close():
            self._line(line, samples)
        return samples

    def _line(self, line: str, samples: list[Sample]) -> None:
        bars = find_bars(line)
        if not bars:
            self._plain(line, samples)
            return
        end = 0
        for place, bar in enumerate(bars):
            glued, name = clean_name(line[end : bar.start])
            before = line[end : bar.start]
            if glued:
                self._plain(glued, samples)
            last = place + 1 == len(bars)
            end = len(line) if last else bar.end
            tail = line[bar.end :] if last else ""
            if tail and _TAIL_FIELDS.match(tail):
                read_fields(tail, bar.reading)
                tail = ""
            self._bar(bar, name, before, samples)
            if tail.strip():
                self._plain(tail, samples)

    def _bar(self, bar: Bar, name: str, before: str, samples: list[Sample]) -> None:
        reading = bar.reading
        reading.name = name
        reading.text = f"{name}: {reading.percent or ''}"[:_TEXT] if not before else before[-80:]
        _read_name(before, reading)
        self._add(reading, samples)

    def _plain(self, line: str, samples: list[Sample]) -> None:
        reading = self._drawn(line) or find_plain(line)
        if reading is None:
            if hint := find_hint(line):
                self._run.take(hint)
            self._before.append(line)
            return
        reading.text = line[:_TEXT]
        self._add(reading, samples)

    @staticmethod
    def _drawn(line: str) -> Reading | None:
        drawn = find_drawn(line)
        if drawn is None:
            return None
        start, reading = drawn
        _, reading.name = clean_name(line[:start])
        if not reading.name and line[:start].strip():
            reading.name = strip_prefix(line[:start])[-_LONGEST_NAME:]
        read_fields(line[:start], reading)
        return reading

    def _add(self, reading: Reading, samples: list[Sample]) -> None:
        context = self._context() if reading.bar and not reading.name else None
        sample = self._run.read(reading, context)
        if sample is not None:
            samples.append(sample)

    def _context(self) -> Phase | None:
        """What the lines before an unnamed bar announced, the newest first."""
        for line in reversed(self._before):
            if _BEGINS.search(line[:400]):
                return Phase.TRAINING
            words = strip_prefix(line[:400]) if len(line) <= 2 * _CONTEXT_LENGTH else ""
            if words and len(words) <= _CONTEXT_LENGTH and _SPOKEN.match(words):
                spoken = phase_of(" ".join(words.split()[:4]))
                if spoken is not Phase.OTHER or not _NEUTRAL.match(words):
                    return spoken
        return None


def parse(text: str, *, steps: int | None = None, job_name: str | None = None) -> list[Sample]:
    """Samples of a whole log."""
    parser = LogParser(steps=steps, job_name=job_name)
    return parser.feed(text) + parser.close()


def _read_name(before: str, into: Reading) -> None:
    """Names that carry numbers: the epoch, the step in it, the loss."""
    if columns := _COLUMNS.search(before[-300:]):
        into.epoch, into.epochs, into.per_epoch = float(columns["epoch"]), int(columns["epochs"]), True
        into.name = "epoch"
    elif tune := _TUNE.search(before[-200:]):
        into.epoch, into.per_epoch, into.name = float(tune["epoch"]), True, "epoch"
    name = before[-240:]
    read_fields(name if into.per_epoch else into.name, into)
    if (found := _STEP_OF.search(into.name)) and int(found["total"]) == into.total:
        into.per_epoch = into.per_epoch or into.epoch is not None
