from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from thornback.metrics.capture import Capture, Tee, capture_output


class Taker:
    """Takes lines as a reporter does."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of the test's own under a root without handlers but pytest's."""
    logger = logging.getLogger("captured")
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()
    logger.propagate = True


def test_what_is_printed_is_printed_and_logged(taker: Taker, capsys: pytest.CaptureFixture[str]) -> None:
    with capture_output(taker):
        print("to out")
        print("to err", file=sys.stderr)
        sys.stdout.writelines(["a\n", "b\n"])
    assert taker.lines == ["to out", "to err", "a", "b"]
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("to out\na\nb\n", "to err\n")


def test_a_line_that_was_not_ended_is_logged_at_the_end(taker: Taker, capsys: pytest.CaptureFixture[str]) -> None:
    with capture_output(taker):
        print("half a line", end="")
        assert taker.lines == []
    assert taker.lines == ["half a line"]


def test_the_streams_come_back_after_an_exception(taker: Taker, capsys: pytest.CaptureFixture[str]) -> None:
    streams = sys.stdout, sys.stderr
    with pytest.raises(ZeroDivisionError), capture_output(taker):
        raise ZeroDivisionError
    assert (sys.stdout, sys.stderr) == streams


def test_colours_and_controls_stay_out(taker: Taker, capsys: pytest.CaptureFixture[str]) -> None:
    with capture_output(taker):
        print("\x1b[32mok\x1b[0m\tdone\x07")
    assert taker.lines == ["ok\tdone"]
    assert capsys.readouterr().out == "\x1b[32mok\x1b[0m\tdone\x07\n"


def test_of_a_progress_bar_a_state_is_logged_now_and_then_and_the_last_one(taker: Taker) -> None:
    now = [0.0]
    tee = Tee(io.StringIO(), Capture(taker), clock=lambda: now[0])
    for percent in range(101):
        tee.write(f"\r{percent}%")
        now[0] += 0.1
    tee.write("\n")
    # in 10.1 s a state each 5 s, and the end
    assert taker.lines == ["51%", "100%"]


def test_records_that_are_not_printed_are_logged_all_the_same(
    taker: Taker, capsys: pytest.CaptureFixture[str], logger: logging.Logger
) -> None:
    logger.addHandler(logging.NullHandler())
    with capture_output(taker):
        logger.warning("quiet\nlines")
    assert taker.lines == ["WARNING captured: quiet", "lines"]
    assert capsys.readouterr().err == ""


def test_records_that_are_printed_are_logged_once_as_they_are_printed(
    taker: Taker, capsys: pytest.CaptureFixture[str], logger: logging.Logger
) -> None:
    before = logging.StreamHandler()  # holds the stderr of now
    before.setFormatter(logging.Formatter("before %(message)s"))
    logger.addHandler(before)
    with capture_output(taker):
        logger.info("one")
        logger.removeHandler(before)
        during = logging.StreamHandler()  # holds the tee
        logger.addHandler(during)
        logger.info("two")
    logger.info("after")
    assert taker.lines == ["before one", "two"]
    assert capsys.readouterr().err == "before one\ntwo\nafter\n"


def test_a_logger_that_keeps_to_itself_is_logged_too(
    taker: Taker, capsys: pytest.CaptureFixture[str], logger: logging.Logger
) -> None:
    logger.propagate = False
    logger.addHandler(logging.StreamHandler())
    with capture_output(taker):
        logger.info("own handler")
    assert taker.lines == ["own handler"]


def test_python_still_prints_what_nobody_handles(
    taker: Taker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with capture_output(taker):
        logging.getLogger("orphan").warning("last resort")
        logging.getLogger("orphan").info("too quiet for it")
    assert taker.lines == ["last resort"]
    assert capsys.readouterr().err == "last resort\n"


def test_ray_trains_print_is_not_logged_twice(
    taker: Taker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.train.v2._internal.logging.patch_print import redirected_print

    train_print: Callable[..., None] = redirected_print
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    with capture_output(taker):
        train_print("epoch", 1)
        train_print("two\nlines")
        logging.getLogger().info("a record")
    assert taker.lines == ["epoch 1", "two", "lines", "INFO root: a record"]


def test_what_the_reporter_prints_does_not_come_back_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    class Talker(Taker):
        def log(self, line: str) -> None:
            super().log(line)
            print("the reporter says something itself")

    talker = Talker()
    with capture_output(talker):
        print("x")
    assert talker.lines == ["x"]


def test_printing_works_whatever_becomes_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def log(self, line: str) -> None:
            raise RuntimeError("broken")

    with capture_output(Broken()):
        print("x")
    assert capsys.readouterr().out == "x\n"


def test_threads_may_print_at_the_same_time(taker: Taker, capsys: pytest.CaptureFixture[str]) -> None:
    def talk(name: int) -> None:
        for n in range(200):
            sys.stdout.write(f"{name} {n}\n")

    with capture_output(taker):
        threads = [threading.Thread(target=talk, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in range(4):
        assert [line for line in taker.lines if line.startswith(f"{name} ")] == [f"{name} {n}" for n in range(200)]


def test_a_forked_child_only_prints(taker: Taker, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    tee = Tee(out, Capture(taker))
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    tee.write("from a data loader's worker\n")
    assert taker.lines == []
    assert out.getvalue() == "from a data loader's worker\n"


def test_a_tee_is_otherwise_the_stream_itself(taker: Taker) -> None:
    with io.TextIOWrapper(io.BytesIO(), encoding="latin-1") as stream:
        tee = Tee(stream, Capture(taker))
        assert tee.encoding == "latin-1"
        assert tee.write("abc\n") == 4
        tee.flush()
        assert tee.buffer.getvalue() == b"abc\n"


def test_captures_can_be_nested(capsys: pytest.CaptureFixture[str]) -> None:
    outer, inner = Taker(), Taker()
    with capture_output(outer):
        print("one")
        with capture_output(inner):
            print("two")
        print("three")
    assert outer.lines == ["one", "two", "three"]
    assert inner.lines == ["two"]
