from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thornback.trainlog.growing import GrowingLog
from thornback.trainlog.parser import LogParser, parse

LOG = "".join(f"steps:  {n}%|█| {n}/100 [00:{n:02d}<00:10,  1.00it/s]\r" for n in range(60)) + "\n"


@given(st.lists(st.integers(0, len(LOG)), max_size=15))
@settings(max_examples=100, deadline=None)
def test_what_is_taken_is_the_log_whatever_the_order_of_arrival(lengths: list[int]) -> None:
    log = GrowingLog()
    assert "".join(log.take(LOG[:length]) for length in lengths) == LOG[: max(lengths, default=0)]


def test_the_same_log_again_has_nothing_new() -> None:
    log = GrowingLog()
    assert [log.take("a\nb\n"), log.take("a\nb\n"), log.take("a\nb\nc\n"), log.take("a\n"), log.take("")] == [
        "a\nb\n",
        "",
        "c\n",
        "",
        "",
    ]


def test_a_head_that_was_cut_off_is_no_new_log() -> None:
    log = GrowingLog()
    log.take(LOG)
    assert log.take(LOG[500:] + "more\n") == "more\n"
    assert log.take(LOG[900:] + "more\nand more\n") == "and more\n"


@pytest.mark.parametrize("cut", [0, 700])
def test_a_last_line_that_was_drawn_anew_is_given_again(cut: int) -> None:
    log = GrowingLog()
    log.take(LOG + "steps:  60%|█| 60/100")
    assert log.take(LOG[cut:] + "steps:  61%|█| 61/100\n") == "\nsteps:  61%|█| 61/100\n"


def test_a_last_line_that_became_shorter_is_given_again() -> None:
    log = GrowingLog()
    log.take(LOG + "steps:  60%|█| 60/100 [01:00<00:40,  1.00it/s]")
    assert log.take(LOG + "steps:  61%|█| 61/100") == "\nsteps:  61%|█| 61/100"


def test_another_log_is_given_whole() -> None:
    log = GrowingLog()
    log.take("first attempt\nstep 3/10\n")
    assert log.take("second attempt, with more lines than before\nstep 1/10\n").strip().startswith("second attempt")


def test_deltas_of_a_growing_log_give_the_samples_of_the_whole() -> None:
    log, parser, samples = GrowingLog(), LogParser(), []
    for length in range(0, len(LOG), 37):
        samples += parser.feed(log.take(LOG[:length]))
    samples += parser.feed(log.take(LOG)) + parser.close()
    assert samples == parse(LOG)
