from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from thornback.jobs.events import EventKind
from thornback.metrics.feed import Feed
from thornback.metrics.port import Page, StreamEvent

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def event(event_id: int) -> StreamEvent:
    return StreamEvent(id=event_id, job_id="j", kind=EventKind.LOG, data={}, at=NOW)


def ids(page: Page | None) -> list[int]:
    assert page is not None
    return [item.id for item in page.events]


@pytest.fixture
def feed() -> Feed:
    feed = Feed(3)
    feed.restart(10)
    return feed


def test_before_it_knows_the_database_it_says_nothing() -> None:
    assert Feed(3).read(-1, 10) is None
    assert Feed(3).read(0, 10) is None


def test_from_now_on_is_answered_with_a_cursor(feed: Feed) -> None:
    assert feed.read(-1, 10) == Page(events=(), cursor=10)


def test_a_subscriber_that_is_up_to_date_waits(feed: Feed) -> None:
    assert feed.read(10, 10) is None


def test_a_subscriber_from_before_the_start_reads_the_database(feed: Feed) -> None:
    assert feed.read(9, 10) == Page(events=(), cursor=10, catch_up=True)


def test_events_come_after_the_cursor_up_to_the_limit(feed: Feed) -> None:
    feed.publish([event(11), event(15), event(16)])  # ids may have gaps
    assert ids(feed.read(10, 2)) == [11, 15]
    assert ids(feed.read(15, 2)) == [16]
    assert ids(feed.read(12, 9)) == [15, 16]
    assert feed.read(16, 2) is None


def test_what_left_the_ring_is_not_skipped_silently(feed: Feed) -> None:
    feed.publish([event(11), event(12), event(13), event(14)])
    assert len(feed) == 3
    assert feed.read(10, 10) == Page(events=(), cursor=14, catch_up=True)
    assert ids(feed.read(11, 10)) == [12, 13, 14]


def test_a_reader_that_saw_the_commit_before_it_was_published_waits(feed: Feed) -> None:
    assert feed.read(11, 10) is None
    feed.publish([event(11), event(12)])
    assert ids(feed.read(11, 10)) == [12]


def test_a_restart_with_unknown_commits_sends_everybody_to_the_database(feed: Feed) -> None:
    feed.publish([event(11)])
    feed.restart(13)
    assert feed.read(11, 10) == Page(events=(), cursor=13, catch_up=True)


def test_a_restart_that_brings_nothing_new_keeps_the_ring(feed: Feed) -> None:
    feed.publish([event(11)])
    feed.restart(11)
    assert ids(feed.read(10, 10)) == [11]


def test_a_large_commit_keeps_only_its_end(feed: Feed) -> None:
    feed.publish([event(n) for n in range(11, 111)])
    assert len(feed) == 3
    assert ids(feed.read(107, 10)) == [108, 109, 110]
    assert feed.cursor == 110


class Subscriptions(RuleBasedStateMachine):
    """Commits, polls, restarts of the writer and lost answers in any order, with ring and page of any size."""

    @initialize(capacity=st.integers(1, 8), before=st.integers(0, 5))
    def start(self, capacity: int, before: int) -> None:
        self.database = list(range(1, before + 1))
        self.next_id = before + 1
        self.capacity = capacity
        self.feed = self.new_feed()
        self.cursors: list[int] = []
        self.seen: list[list[int]] = []
        self.began: list[int] = []

    def new_feed(self) -> Feed:
        feed = Feed(self.capacity)
        feed.restart(self.newest)
        return feed

    @property
    def newest(self) -> int:
        return self.database[-1] if self.database else 0

    def commit(self, gaps: list[int]) -> list[StreamEvent]:
        new = []
        for gap in gaps:
            self.next_id += gap  # ids of repeats are given to nothing
            new.append(event(self.next_id))
            self.next_id += 1
        self.database += [item.id for item in new]
        return new

    @rule(gaps=st.lists(st.integers(0, 3), min_size=1, max_size=12))
    def commit_and_publish(self, gaps: list[int]) -> None:
        self.feed.publish(self.commit(gaps))

    @rule(gaps=st.lists(st.integers(0, 3), min_size=1, max_size=5))
    def commit_whose_answer_is_lost(self, gaps: list[int]) -> None:
        self.commit(gaps)
        self.feed.restart(self.newest)  # what the committer does before the next commit

    @rule()
    def writer_is_killed_and_restarts(self) -> None:
        self.feed = self.new_feed()

    @rule(gaps=st.lists(st.integers(0, 3), min_size=1, max_size=5))
    def writer_is_killed_between_commit_and_publication(self, gaps: list[int]) -> None:
        self.commit(gaps)
        self.feed = self.new_feed()

    @rule()
    def subscribe_from_now(self) -> None:
        page = self.feed.read(-1, 10)
        assert page is not None
        self.cursors.append(page.cursor)
        self.began.append(page.cursor)
        self.seen.append([])

    @rule()
    def subscribe_from_the_beginning(self) -> None:
        self.cursors.append(0)
        self.began.append(0)
        self.seen.append([])

    @rule(which=st.integers(0, 20), limit=st.integers(1, 6))
    def poll(self, which: int, limit: int) -> None:
        if self.cursors:
            self.poll_one(which % len(self.cursors), limit)

    def poll_one(self, index: int, limit: int) -> bool:
        page = self.feed.read(self.cursors[index], limit)
        if page is None:
            return False
        assert len(page.events) <= limit
        if page.catch_up:
            assert not page.events
            self.seen[index] += [n for n in self.database if self.cursors[index] < n <= page.cursor]
        else:
            self.seen[index] += [item.id for item in page.events]
        assert page.cursor > self.cursors[index]
        self.cursors[index] = page.cursor
        return True

    @rule(which=st.integers(0, 20))
    def drain(self, which: int) -> None:
        if self.cursors:
            index = which % len(self.cursors)
            while self.poll_one(index, 3):
                pass
            assert self.seen[index] == [n for n in self.database if n > self.began[index]]

    @invariant()
    def everyone_saw_everything_once_and_in_order(self) -> None:
        for cursor, began, seen in zip(
            getattr(self, "cursors", []), getattr(self, "began", []), getattr(self, "seen", []), strict=True
        ):
            assert seen == [n for n in self.database if began < n <= cursor]

    def teardown(self) -> None:
        for index in range(len(getattr(self, "cursors", []))):
            self.drain(index)


Subscriptions.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSubscriptions = Subscriptions.TestCase
