"""What holds for any text: chunks change nothing, nothing raises, work is in proportion to length."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tqdm import tqdm  # type: ignore[import-untyped]

from tests.unit.trainlog.corpus import cases
from thornback.jobs.progress import ProgressTracker
from thornback.trainlog.lines import MAX_LINE, LineBuffer
from thornback.trainlog.parser import LogParser, parse
from thornback.trainlog.sample import Phase

WHOLE = "\r".join(case.text for case in cases())
PIECES = st.sampled_from(
    [line.text for case in cases() for line in case.lines]
    + ["\r", "\n", "\x1b[A", "\x08\x08", "\x00", "%|", "1%|", "| 1/2 [", "[00:01<", "1/1"]
    + ["{'loss': ", "nan", "━", "Epoch 1/2\n", "resume from step 7\n"]
)
LOGS = st.lists(PIECES | st.text(max_size=20), max_size=30).map("".join)


def in_chunks(text: str, cuts: list[int]) -> list[Any]:
    parser, samples, last = LogParser(), [], 0
    for cut in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        samples += parser.feed(text[last:cut])
        last = cut
    return [repr(sample) for sample in samples + parser.close()]


@given(LOGS, st.lists(st.integers(0, 100_000), max_size=20))
@settings(max_examples=150, deadline=None)
def test_chunks_change_nothing(text: str, cuts: list[int]) -> None:
    assert in_chunks(text, cuts) == [repr(sample) for sample in parse(text)]


def test_one_character_at_a_time() -> None:
    parser = LogParser()
    samples = [sample for char in WHOLE for sample in parser.feed(char)] + parser.close()
    assert [repr(sample) for sample in samples] == [repr(sample) for sample in parse(WHOLE)]


@given(LOGS, st.none() | st.integers(1, 10_000))
@settings(max_examples=250, deadline=None)
def test_any_text_gives_samples_in_their_bounds(text: str, steps: int | None) -> None:
    for sample in parse(text, steps=steps):
        assert sample.percent is None or 0.0 <= sample.percent <= 100.0
        assert sample.eta_seconds is None or sample.eta_seconds >= 0.0
        assert sample.rate is None or sample.rate >= 0.0
        assert sample.step is None or sample.step >= 0


@given(LOGS)
@settings(max_examples=150, deadline=None)
def test_progress_never_goes_back(text: str) -> None:
    tracker, at, shown = ProgressTracker(), datetime(2026, 3, 1, tzinfo=UTC), [0.0]
    for sample in parse(text):
        at += timedelta(seconds=7)
        if sample.moves_training and sample.percent is not None:
            tracker.training(sample.percent, at)
        shown.append(tracker.point(at).percent)
    assert shown == sorted(shown)
    assert shown[-1] <= 95.0


@given(
    n=st.integers(0, 50_000),
    more=st.integers(1, 50_000),
    elapsed=st.floats(0.0, 4_000_000.0),
    ascii_bar=st.booleans(),
    ncols=st.sampled_from([None, 0, 120]),
    name=st.sampled_from(["steps", "Steps", "Training", "train my-flux lora v2", ""]),
    unit=st.sampled_from(["it", "step", " steps", "batch"]),
)
@settings(max_examples=300, deadline=None)
def test_what_tqdm_formats_is_read_back(
    n: int, more: int, elapsed: float, ascii_bar: bool, ncols: int | None, name: str, unit: str
) -> None:
    total = n + more
    drawn = tqdm.format_meter(
        n, total, elapsed, ncols=ncols, prefix=name, ascii=ascii_bar, unit=unit, postfix="loss=0.25"
    )
    (sample,) = parse(f"\r{drawn}")
    assert (sample.phase, sample.step, sample.total) == (Phase.TRAINING, n, total)
    assert sample.percent == pytest.approx(100.0 * n / total, abs=1e-3)
    if ncols == 120 and len(drawn) >= 120:
        return  # the rest of it is cut off
    assert sample.loss == 0.25
    if n and elapsed >= 1:
        # Two decimals are printed, of the rate or of its inverse.
        assert sample.rate == pytest.approx(n / elapsed, rel=0.01, abs=0.006)
        assert sample.eta_seconds == pytest.approx((total - n) / (n / elapsed), abs=1.0)


@given(n=st.integers(0, 10**9), unit=st.sampled_from(["it", "B"]), elapsed=st.floats(1.0, 1000.0))
@settings(max_examples=100, deadline=None)
def test_scaled_numbers_and_unknown_totals_are_read_back(n: int, unit: str, elapsed: float) -> None:
    drawn = tqdm.format_meter(n, None, elapsed, prefix="train", unit=unit, unit_scale=True)
    (sample,) = parse(drawn)
    assert sample.phase is (Phase.DOWNLOADING if unit == "B" else Phase.TRAINING)
    assert sample.step == pytest.approx(n, rel=0.006, abs=0.6)
    assert sample.total is None


def test_a_line_without_end_is_held_in_bounded_memory() -> None:
    buffer, given_out, held = LineBuffer(), 0, 0
    for _ in range(100):
        given_out += sum(map(len, buffer.feed("x" * 10_000)))
        held = max(held, buffer._held)
    assert held <= MAX_LINE
    assert given_out + buffer._held == 1_000_000


def test_bars_glued_for_hours_without_a_line_end_are_all_read() -> None:
    bars = [f"  {n // 100}%|{'█' * 10}| {n}/10000 [00:10<00:10,  2.00s/it]" for n in range(1, 3001)]
    text = "".join(bars)
    assert len(text) > 2 * MAX_LINE
    assert [sample.step for sample in parse(text)] == list(range(1, 3001))


def test_bytes_that_end_an_escape_early_do_not_swallow_the_line() -> None:
    (sample,) = parse("\x1b]0;never closed\nstep 4/10\n")
    assert sample.step == 4


HOSTILE = [
    " ", "1", "|", "%|", "1%|", "[", "a", "a_", "a/", "loss ", "step ", "epoch 1", "{'a': ", "lr=", "1/", "1/1 [", "1,",
    "1/1 [00:00<", "eta ", "loss:1 ", "━", "[=", "=] 1", "resume ", "skip step ", "train/", "(", "time 1 ", "1:",
    "val loss ", "1|1|", "\\n", "1 d ", "Step 1 of ", "a: ", "1% (", "} ", "] ", "x ]x ", "\x1b[",
    "\x1b]", "\x08", "\u2028",
]  # fmt: skip


@pytest.mark.parametrize("seed", HOSTILE, ids=repr)
def test_work_is_in_proportion_to_length(seed: str) -> None:
    """Counted in calls; the patterns themselves are bounded one by one (`test_patterns_have_bounds`)."""
    short, long = (seed * (size // len(seed)) for size in (4_000, 16_000))
    assert calls(lambda: parse(long)) <= 6 * calls(lambda: parse(short)) + 200


def calls(work: Callable[[], object]) -> int:
    count = 0

    def profile(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
