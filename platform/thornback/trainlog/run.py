"""Which bar is the training's, and where in the whole training it stands.

Trainers draw many bars and draw some of them again for every epoch or after a resume. What is known of this run
(its steps, epochs, name) decides; a total that is known is never overwritten by another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from thornback.trainlog.hints import Hint
from thornback.trainlog.names import names_steps, phase_of
from thornback.trainlog.reading import Reading
from thornback.trainlog.sample import Phase, Sample

_STEP_UNITS = re.compile(
    r"^(?:it|its|iter|iters|iteration|iterations|step|steps|batch|batches|epoch|epochs|update|updates)$", re.I
)
_BYTES = re.compile(r"^[kMGT]?i?[bB](?:ytes?)?$|^bytes$")
_EPOCH_WORD = re.compile(r"^(?:(?:total |train(?:ing)? )?epochs?|(?:train(?:ing)? )?epoch progress)$", re.IGNORECASE)
_SMALL = 50  # steps; hardly a training has fewer
_IDENTIFIER = re.compile(r"^(?=\S*_)[\w.-]+$")
_HAS_EPOCH = re.compile(r"epoch", re.IGNORECASE)


@dataclass(slots=True)
class _Track:
    """The bar that is followed."""

    name: str
    total: int | None
    offset: int = 0
    last: int = 0  # as printed
    evident: bool = False  # a loss or a rate of learning stood on it, or its name or total says it

    def is_bar(self, reading: Reading) -> bool:
        """Whether it is drawn again."""
        return self.name == reading.name and self.total == reading.total

    @property
    def is_complete(self) -> bool:
        """It has reached its end."""
        return self.total is not None and self.last >= self.total


class TrainingRun:
    """Folds readings of one log in their order."""

    def __init__(self, *, steps: int | None = None, job_name: str | None = None) -> None:
        self._requested = steps or None
        self._announced: int | None = None
        self._job = job_name or ""
        self._resume: int | None = None
        self._track: _Track | None = None
        self._total: int | None = None  # of the whole, once a bar has matched it or set it
        self._step: int | None = None
        self._percent: float | None = None
        self._epoch: float | None = None
        self._epochs: int | None = None
        self._from_zero = False  # the epochs are counted from 0
        self._epoch_line = False  # said since the present bar began
        self._outer: tuple[int, int] | None = None  # a bar of epochs: done, of how many
        self._epoch_bars: set[tuple[str, int | None]] = set()
        self._beside: tuple[int | None, float, int] = (None, 0.0, 0)  # total, epoch and step of the last sentence
        self._through: set[int | None] = set()  # totals of sentences that are of the whole training

    def take(self, hint: Hint) -> None:
        """What a line announced."""
        self._announced = hint.total or self._announced
        self._epochs = hint.epochs or self._epochs
        self._job = self._job or hint.job or ""
        self._resume = self._resume if hint.resume is None else hint.resume

    def read(self, reading: Reading, context: Phase | None = None) -> Sample | None:
        """The sample of a reading; `context` is what the lines before it spoke of."""
        phase = self._phase(reading, context)
        if phase is None:
            return None
        if phase is not Phase.TRAINING:
            return _aside(reading, phase)
        self._took_epoch(reading)
        if self._is_of_epochs(reading):
            return self._epochs_bar(reading)
        if self._is_per_epoch(reading):
            return self._in_epoch(reading)
        if reading.n is None and reading.percent is None:
            return self._words_only(reading)
        return self._whole(reading)

    # Which phase

    def _phase(self, reading: Reading, context: Phase | None) -> Phase | None:
        if not reading.bar:
            if reading.phase is Phase.OTHER:
                return Phase.TRAINING if self._is_known_name(reading.name) else None
            return reading.phase or Phase.TRAINING
        if self._is_known_name(reading.name):
            return Phase.TRAINING
        spoken = phase_of(reading.name) if reading.name else None
        if spoken not in (None, Phase.TRAINING):
            return self._though_it_speaks(reading, spoken)
        if _BYTES.match(reading.unit):
            return Phase.DOWNLOADING
        return Phase.TRAINING if spoken is Phase.TRAINING else self._unnamed(reading, context)

    def _though_it_speaks(self, reading: Reading, spoken: Phase) -> Phase:
        """Jobs are called `test_sample_lora` too; no other bar shows a rate of learning."""
        if reading.lr is not None or (reading.total == self._requested and _IDENTIFIER.match(reading.name)):
            return Phase.TRAINING
        if spoken is Phase.DOWNLOADING and self._track and self._track.is_complete:
            return Phase.SAVING  # the file that was made goes up
        return spoken

    def _unnamed(self, reading: Reading, context: Phase | None) -> Phase:
        track = self._track
        if (
            reading.lr is not None
            or (track and track.is_bar(reading))
            or (reading.name, reading.total) in self._epoch_bars
        ):
            return Phase.TRAINING
        if reading.total is not None and reading.total in (self._requested, self._announced):
            return Phase.TRAINING
        if context not in (None, Phase.TRAINING):
            return context or Phase.OTHER
        if reading.loss is not None and (track is None or not track.evident or self._epoch_line):
            return Phase.TRAINING
        if not _STEP_UNITS.match(reading.unit):
            return Phase.OTHER
        if self._offset(reading):
            return Phase.TRAINING
        known = bool(self._epoch_bars) or bool(track and (track.evident or not track.is_complete))
        if known and not self._epoch_line:
            return Phase.OTHER if reading.name else Phase.EVALUATING
        if (self._requested or self._announced) and not self._epoch_line and context is None:
            return Phase.OTHER
        if not known and reading.total is not None and reading.n == reading.total < _SMALL and not reading.name:
            return Phase.OTHER  # complete as it is first seen: something small before training
        return Phase.TRAINING

    def _is_known_name(self, name: str) -> bool:
        return bool(name) and (
            name == self._job or bool(self._track and self._track.evident and name == self._track.name)
        )

    # Where in the whole

    @property
    def _known(self) -> int | None:
        return self._total or self._requested or self._announced

    def _took_epoch(self, reading: Reading) -> None:
        if reading.from_zero and reading.epochs:
            reading.epochs += 1  # Lightning shows the number of the last
        self._epochs = reading.epochs or self._epochs
        if reading.epoch is None or reading.record:
            return
        self._from_zero = self._from_zero or reading.from_zero or reading.epoch == 0
        if not reading.bar and reading.n is None and reading.epoch != self._epoch and not reading.done:
            self._epoch_line = True
        self._epoch = reading.epoch

    def _is_of_epochs(self, reading: Reading) -> bool:
        if not reading.bar or reading.total is None or reading.total in (self._requested, self._announced):
            return False
        return reading.unit in ("epoch", "epochs") or (
            bool(_EPOCH_WORD.match(reading.name)) and not reading.is_evidence and reading.epoch is None
        )

    def _epochs_bar(self, reading: Reading) -> Sample:
        done, total = reading.n or 0, reading.total or 1
        self._outer, self._epochs, self._epoch = (done, total), total, float(done)
        return self._training(reading, percent=100.0 * done / total, rate=None, eta=reading.eta)

    def _is_per_epoch(self, reading: Reading) -> bool:
        if reading.total is None or reading.n is None or reading.total in (self._requested, self._announced):
            return False
        if reading.per_epoch and not reading.bar and self._counts_through(reading):
            return False
        if self._outer or reading.per_epoch or (reading.name, reading.total) in self._epoch_bars:
            return True
        if names_steps(reading.name) or not reading.bar:
            return False
        if _HAS_EPOCH.search(reading.name) and reading.epoch is not None:
            return True
        return self._epoch_line and not (self._track and self._track.is_bar(reading))

    def _counts_through(self, reading: Reading) -> bool:
        """Whether steps beside an epoch go on counting from one epoch to the next."""
        here = (reading.total, reading.epoch or 0.0, reading.n or 0)
        total, epoch, n = self._beside
        if here[0] == total and here[1] > epoch and here[2] > n and n < 0.98 * (total or 0):
            self._through.add(total)
        self._beside = here
        return here[0] in self._through

    def _in_epoch(self, reading: Reading) -> Sample:
        n, total = reading.n or 0, reading.total or 1
        if reading.bar:
            self._epoch_bars.add((reading.name if reading.epoch is None else "", total))
        self._epoch_line = False
        index = self._outer[0] if self._outer else self._index()
        share = min(1.0, n / total)
        percent, eta, whole = 100.0 * share, reading.eta, False
        if eta is None and reading.rate and reading.bar:
            eta = (total - n) / reading.rate
        if index is not None and self._requested and not self._outer and self._requested >= total:
            percent, whole = min(100.0, 100.0 * (index * total + n) / self._requested), True
            eta = (self._requested - index * total - n) / reading.rate if reading.rate else None
        elif index is not None and self._epochs and index < self._epochs:
            percent, whole = 100.0 * (index + share) / self._epochs, True
            pace = reading.rate or ((total - n) / eta if eta else None)
            left = (self._epochs - index - 1) * total
            eta = None if eta is None or (left and not pace) else eta + left / (pace or 1)
        return self._training(
            reading, step=n, total=total, percent=percent, rate=reading.rate, eta=eta, of_epoch=not whole, in_epoch=True
        )

    def _done(self, step: int | None, total: int | None, of_epoch: bool) -> tuple[int | None, int | None]:
        """Of the whole training, from the place in an epoch."""
        index = self._outer[0] if self._outer else self._index()
        if index is None or step is None or total is None or of_epoch:
            return None, None
        return index * total + step, self._requested if not self._outer and self._requested else (
            self._epochs or 1
        ) * total

    def _index(self) -> int | None:
        """Epochs that are over."""
        if self._epoch is None:
            return None
        return max(0, int(self._epoch) - (0 if self._from_zero else 1))

    def _whole(self, reading: Reading) -> Sample | None:
        if reading.n is None:
            return self._percent_only(reading)
        self._follow(reading)
        track = self._track
        if reading.bar and track and not track.is_bar(reading):
            reading.rate = reading.eta = None  # of some other count
            return self._words_only(reading)
        offset = track.offset if reading.bar and track else 0
        step = reading.n + offset
        total = reading.total + offset if reading.total else self._known
        if reading.total and self._known and offset:
            total = self._known
        eta = reading.eta
        if eta is None and reading.rate and total:
            eta = max(0.0, (total - step) / reading.rate)
        percent = min(100.0, 100.0 * step / total) if total and total >= 1 else None
        return self._training(reading, step=step, total=total, percent=percent, rate=reading.rate, eta=eta)

    def _percent_only(self, reading: Reading) -> Sample:
        percent = min(100.0, reading.percent or 0.0)
        track = self._track
        if track and track.offset and track.total and reading.bar:
            percent = 100.0 * (track.offset + percent / 100 * track.total) / (track.offset + track.total)
        return self._training(reading, total=self._known, percent=percent, rate=reading.rate, eta=reading.eta)

    def _words_only(self, reading: Reading) -> Sample | None:
        """A loss or an epoch without a count: the step is the last that was seen."""
        percent = self._percent
        if percent is None and self._epochs and reading.epoch is not None:
            over = reading.epoch if reading.done or not reading.epoch.is_integer() else self._index() or 0
            percent = min(100.0, 100.0 * over / self._epochs)
        if self._step is None and percent is None and not reading.is_evidence and reading.epoch is None:
            return None
        return self._training(
            reading, step=self._step, total=self._known, percent=percent, rate=reading.rate, eta=reading.eta, keep=False
        )

    def _follow(self, reading: Reading) -> None:
        """Keep to the bar that is followed, or take up this one."""
        if not reading.bar:
            self._total = self._total or (
                reading.total if reading.total == (self._requested or reading.total) else None
            )
            return
        track = self._track
        evident = reading.is_evidence or names_steps(reading.name) or self._matches(reading)
        if track and track.is_bar(reading):
            track.last, track.evident = reading.n or 0, track.evident or evident
            return
        if track and track.evident and self._total and not evident and reading.total != self._total:
            return
        if track and self._total and self._total == self._requested and reading.total:
            offset = self._offset(reading)
            if not offset and reading.total != self._total and not self._matches(reading):
                return
        self._track = _Track(reading.name, reading.total, self._offset(reading), reading.n or 0, evident)
        self._epoch_line = False
        if reading.total:
            self._total = self._known if self._track.offset and self._known else reading.total + self._track.offset

    def _matches(self, reading: Reading) -> bool:
        return reading.total is not None and reading.total in (self._requested, self._announced)

    def _offset(self, reading: Reading) -> int:
        """Steps that were done before a bar of what remains began."""
        if not reading.total or not reading.bar or self._matches(reading):
            return 0
        known = self._known
        if known is None:
            # An unnamed bar is Hugging Face's, which counts from the very beginning after a resume too.
            fresh = bool(reading.name) and self._resume is not None and (reading.n or 0) < self._resume
            return self._resume or 0 if fresh else 0
        rest = known - reading.total
        if rest <= 0:
            return 0
        if self._resume is not None and abs(self._resume - rest) <= max(1, rest // 100):
            return rest
        seen = self._step is not None and rest <= self._step
        return (
            rest if seen and self._track is not None and not self._track.is_complete and (reading.n or 0) <= rest else 0
        )

    def _training(
        self,
        reading: Reading,
        *,
        step: int | None = None,
        total: int | None = None,
        percent: float | None = None,
        rate: float | None,
        eta: float | None,
        of_epoch: bool = False,
        in_epoch: bool = False,
        keep: bool = True,
    ) -> Sample:
        done, of = self._done(step, total, of_epoch) if in_epoch else (step, total)
        if keep and not of_epoch:
            self._percent = percent
            self._step = step if step is not None and not in_epoch else self._step
        return Sample(
            phase=Phase.TRAINING,
            step=step,
            total=total,
            done=done,
            of=of,
            percent=_rounded(percent, 4),
            of_epoch=of_epoch,
            rate=_significant(rate),
            loss=reading.loss,
            lr=reading.lr,
            epoch=reading.epoch if reading.epoch is not None else self._epoch,
            epochs=self._epochs,
            eta_seconds=_rounded(max(0.0, eta), 1) if eta is not None else None,
            text=reading.text,
        )


def _aside(reading: Reading, phase: Phase) -> Sample:
    percent = reading.percent
    if reading.n is not None and reading.total:
        percent = 100.0 * reading.n / reading.total
    return Sample(
        phase=phase,
        step=reading.n,
        total=reading.total,
        percent=_rounded(min(100.0, percent), 4) if percent is not None else None,
        rate=_significant(reading.rate),
        loss=reading.loss,
        epoch=reading.epoch,
        epochs=reading.epochs,
        eta_seconds=_rounded(reading.eta, 1),
        text=reading.text,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
