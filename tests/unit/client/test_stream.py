"""A stream outlives connections and servers; every event comes once and in order."""

from __future__ import annotations

import random

import httpx2
import pytest

from tests.unit.client.server import JOB_ID, Script, event, problem, sse
from thornback.client import Backoff, ServerUnreachable
from thornback.errors import JobNotFound, NotFound

EVENTS = f"GET /api/v1/training/jobs/{JOB_ID}/events"
ALL = "GET /api/v1/training/events"


END = "event: end\ndata: {}\n\n"
STATUS = 'event: training_status\ndata: {"status": "running"}\n\n'


def test_goes_on_after_a_cut_with_the_last_id() -> None:
    script = Script().on(
        EVENTS,
        sse(event(1), event(2), cut=True),
        httpx2.ConnectError("refused"),
        sse(event(3), event(4, "succeeded"), END),
    )
    with script.client() as client:
        assert [item.id for item in client.events(JOB_ID, after=0)] == [1, 2, 3, 4]
    assert [item.headers.get("last-event-id") for item in script.asked(EVENTS)] == ["0", "2", "2"]


def test_repeats_are_dropped() -> None:
    script = Script().on(EVENTS, sse(event(1), event(2), cut=True), sse(event(1), event(2), event(3, "failed"), END))
    with script.client() as client:
        assert [item.id for item in client.events(JOB_ID, after=0)] == [1, 2, 3]


def test_a_replica_that_shuts_down_in_order_is_found_again() -> None:
    script = Script().on(EVENTS, sse(event(1)), sse(event(2, "cancelled"), END))
    with script.client() as client:
        assert [item.id for item in client.events(JOB_ID, after=0)] == [1, 2]


def test_status_messages_do_not_move_the_cursor_and_are_no_events() -> None:
    # In SSE a message without an id keeps the id of the one before it.
    script = Script().on(EVENTS, sse(STATUS, event(1), STATUS, STATUS, cut=True), sse(event(2), STATUS, END))
    with script.client() as client:
        assert [item.id for item in client.events(JOB_ID, after=0)] == [1, 2]
    assert [item.headers["last-event-id"] for item in script.asked(EVENTS)] == ["0", "1"]


def test_a_cut_between_the_last_event_and_the_end_is_no_loss() -> None:
    script = Script().on(EVENTS, sse(event(1, "succeeded"), cut=True), httpx2.Response(204))
    with script.client() as client:
        assert [item.id for item in client.events(JOB_ID, after=0)] == [1]


def test_nothing_left_to_see() -> None:
    script = Script().on(EVENTS, httpx2.Response(204))
    with script.client() as client:
        assert list(client.events(JOB_ID, after=99)) == []


def test_a_server_that_does_not_know_the_last_id_begins_anew() -> None:
    reset = "event: reset\ndata: {}\n\n"
    script = Script().on(EVENTS, sse(reset, event(3), event(4, "succeeded"), END))
    with script.client() as client:
        assert [item.id for item in client.events(JOB_ID, after=99)] == [3, 4]


def test_503_is_tried_again_and_told() -> None:
    script = Script().on(EVENTS, problem(503, "store_unavailable"), sse(event(1, "succeeded"), END))
    lost: list[str] = []
    with script.client() as client:
        found = client.events(JOB_ID, after=0, on_lost=lambda error, _delay: lost.append(error.code))
        assert [item.id for item in found] == [1]
    assert lost == ["store_unavailable"]


def test_an_unknown_job_is_not_tried_again() -> None:
    script = Script().on(EVENTS, problem(404, "job_not_found"))
    with script.client() as client, pytest.raises(JobNotFound):
        list(client.events(JOB_ID))
    assert len(script.requests) == 1


def test_gives_up_after_its_time_and_says_why() -> None:
    script = Script().on(EVENTS, httpx2.ConnectError("refused"))
    backoff = Backoff(first_s=0.001, longest_s=0.001, floor_s=0.0, give_up_after_s=0.0)
    with script.client(backoff=backoff) as client, pytest.raises(ServerUnreachable):
        list(client.events(JOB_ID))


def test_the_stream_of_all_jobs_never_ends_by_itself() -> None:
    script = Script().on(ALL, sse(event(1, "succeeded")), sse(event(2)), problem(404, "not_found"))
    with script.client() as client, pytest.raises(NotFound):
        list(client.events(after=0))
    assert [item.headers["last-event-id"] for item in script.asked(ALL)] == ["0", "1", "2"]


@pytest.mark.parametrize("seed", range(20))
def test_random_cuts_lose_and_double_nothing(seed: int) -> None:
    """A server that holds 200 events and cuts every connection somewhere, sometimes in the middle of an event."""
    chance = random.Random(seed)
    history = [event(number) for number in range(1, 200)] + [event(200, "succeeded")]

    def answer(request: httpx2.Request) -> httpx2.Response:
        rest = "".join(history[int(request.headers["last-event-id"]) :])
        return sse(rest[: chance.randrange(len(rest) + 400)], cut=True) if rest else httpx2.Response(204)

    script = Script().on(EVENTS, answer)
    with script.client() as client:
        assert [item.id for item in client.events(JOB_ID, after=0)] == list(range(1, 201))
    assert len(script.asked(EVENTS)) > 1
