from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.metrics.lines import MAX_LINE_CHARS, LineBuffer, clean


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plain", "plain"),
        ("a\tb", "a\tb"),
        ("\x1b[1;32mgreen\x1b[0m", "green"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b[2K\x1b[1Gprogress", "progress"),
        ("bell\x07 null\x00 delete\x7f c1\x9b", "bell null delete c1"),
        ("half a pair \ud800.", "half a pair \ufffd."),
        ("Grüße 漢字 🙂", "Grüße 漢字 🙂"),
    ],
)
def test_lines_are_cleaned(given: str, expected: str) -> None:
    assert clean(given) == expected


def test_a_long_line_is_cut_and_says_so() -> None:
    assert clean("x" * (MAX_LINE_CHARS + 5)) == "x" * MAX_LINE_CHARS + " … [5 more characters]"
    assert clean("x" * MAX_LINE_CHARS) == "x" * MAX_LINE_CHARS


@given(st.text(alphabet=st.characters(), max_size=200))
def test_a_cleaned_line_can_be_stored_and_shown(line: str) -> None:
    result = clean(line)
    result.encode("utf-8")
    assert all(char == "\t" or ord(char) >= 32 for char in result)


def feed(*pieces: str) -> tuple[list[str], str]:
    buffer = LineBuffer()
    lines = [line for piece in pieces for line in buffer.feed(piece)]
    return lines, buffer.peek()


@pytest.mark.parametrize(
    ("pieces", "lines", "rest"),
    [
        (["one\ntwo\nth", "ree"], ["one", "two"], "three"),
        (["\n\n"], ["", ""], ""),
        (["windows\r\nline", "\r", "\n"], ["windows", "line"], ""),
        (["10%\r20%\r30%"], [], "30%"),
        (["10%\r", "20%\r"], [], "20%"),
        (["10%\r20%\r100%\ndone\n"], ["100%", "done"], ""),
        (["10%", "\r100%", "\n"], ["100%"], ""),
    ],
)
def test_streams_become_lines(pieces: list[str], lines: list[str], rest: str) -> None:
    assert feed(*pieces) == (lines, rest)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    buffer = LineBuffer()
    for _ in range(100):
        assert not list(buffer.feed("x" * 1000))
    assert sum(map(len, buffer._parts)) == MAX_LINE_CHARS
    assert buffer.take() == "x" * MAX_LINE_CHARS + f" … [{100_000 - MAX_LINE_CHARS} more characters]"
    assert list(buffer.feed("next\n")) == ["next"]


def test_a_progress_bar_is_told_from_a_line() -> None:
    buffer = LineBuffer()
    list(buffer.feed("a line"))
    states = [buffer.rewritten]
    for piece in ("\rbar", "\n"):
        list(buffer.feed(piece))
        states.append(buffer.rewritten)
    assert states == [False, True, False]


@given(st.text(alphabet="ab\r\n", max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_how_a_text_is_cut_into_pieces_does_not_matter(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    assert feed(*pieces) == feed(text)
