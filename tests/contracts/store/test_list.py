"""StoreReader.jobs: filters, sorts, pages."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from tests.contracts.store.conftest import NOW, RUN, Store, job_id, spec
from thornback.errors import InvalidInput
from thornback.jobs.status import JobStatus
from thornback.metrics.port import NewJob, QueuePlace
from thornback.store.page import JobPage, JobQuery


def _names(page: JobPage) -> list[str]:
    return [row.state.job_name for row in page.jobs]


def _walk(store: Store, query: JobQuery) -> list[str]:
    """All names, page by page."""
    names: list[str] = []
    cursor: str | None = None
    while True:
        page = store.reader.jobs(
            JobQuery(sort=query.sort, limit=query.limit, status=query.status, user=query.user, cursor=cursor)
        )
        names += _names(page)
        cursor = page.next_cursor
        if cursor is None:
            return names


def test_tags_and_backend(store: Store) -> None:
    store.create("a", tags={"team": "audio", "it's.a[0]%": "1"})
    store.create("b", tags={"team": "video"})
    store.create("c")

    def names(*tags: str, backend: str | None = None) -> list[str]:
        return sorted(_names(store.reader.jobs(JobQuery(tags=tags, backend=backend))))

    assert names("team=audio") == ["a"]
    assert names("team") == ["a", "b"]
    assert names("team", "it's.a[0]%=1") == ["a"]
    assert names("team=") == names("nothing") == names("team=audio", "team=video") == []
    assert (names(backend="ray"), names(backend="fal")) == (["a", "b", "c"], [])
    for key in ("", "=value", 'a"b', "a\\b"):
        with pytest.raises(InvalidInput, match="tag"):
            names(key)


def test_a_page_says_how_many_parts_its_jobs_have(store: Store) -> None:
    whole, alone = job_id(store.create("whole")), job_id(store.create("alone"))
    for n in range(3):
        part = NewJob(job_id=str(uuid.uuid4()), spec=spec(f"part {n}"), user="ada", at=NOW, parent_id=whole)
        store.writer.create(part)
    page = store.reader.jobs(JobQuery(parent="none"))
    assert ({row.state.id for row in page.jobs}, page.parts) == ({whole, alone}, {whole: 3})
    assert store.reader.jobs(JobQuery(limit=0)).parts == {}


def test_jobs_by_cost_have_the_unknown_ones_last(store: Store) -> None:
    dear, cheap, _ = store.create("dear"), store.create("cheap"), store.create("unknown")
    told = [
        make.described(RUN, facts, seq=1, at=NOW)
        for make, facts in ((dear, {"cost_usd": 2.5}), (cheap, {"cost_estimate_usd": 1}))
    ]
    store.writer.commit(told)
    assert _names(store.reader.jobs(JobQuery(sort="-cost"))) == ["dear", "cheap", "unknown"]


def test_the_newest_come_first_and_total_counts_all(store: Store) -> None:
    for n in range(5):
        store.create(f"job {n}", at=NOW + timedelta(seconds=n))
    page = store.reader.jobs(JobQuery(limit=2))
    assert (_names(page), page.total) == (["job 4", "job 3"], 5)
    page = store.reader.jobs(JobQuery(limit=2, offset=3))
    assert (_names(page), page.total, page.next_cursor) == (["job 1", "job 0"], 5, None)
    assert store.reader.jobs(JobQuery(limit=2, offset=9)).jobs == ()
    assert store.reader.jobs(JobQuery(limit=0)).total == 5


def test_filters(store: Store) -> None:
    one = store.create("Radio Alpha", user="ada")
    two = store.create("radio beta", user="bob")
    store.create("other", user="ada")
    store.writer.commit([one.started(RUN, at=NOW), two.succeeded(RUN, at=NOW)])

    def names(**filters: object) -> set[str]:
        page = store.reader.jobs(JobQuery(**filters))  # type: ignore[arg-type]
        assert page.total == len(page.jobs)
        return set(_names(page))

    assert names(status=(JobStatus.RUNNING,)) == {"Radio Alpha"}
    assert names(status=(JobStatus.RUNNING, JobStatus.COMPLETED)) == {"Radio Alpha", "radio beta"}
    assert names(status=(JobStatus.FAILED,)) == set()
    assert names(name="RADIO") == {"Radio Alpha", "radio beta"}
    assert names(name="radio", user="ada") == {"Radio Alpha"}
    assert names(kind="convnext", user="bob") == {"radio beta"}
    assert names(kind="lora") == set()
    assert names(user="nobody") == set()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("50%", ["50% done"]),
        ("%", ["50% done"]),
        ("_", ["snake_case"]),
        ("back\\slash", ["back\\slash"]),
        ("a/b", ["a/b"]),
        ("STRASSE", ["Straße"]),
        ("élan", ["ÉLAN"]),
        ("nul\x00", []),
    ],
)
def test_a_name_is_searched_as_text(store: Store, wanted: str, found: list[str]) -> None:
    for name in ("50% done", "snake_case", "back\\slash", "a/b", "Straße", "ÉLAN", "plain"):
        store.create(name)
    assert _names(store.reader.jobs(JobQuery(name=wanted))) == found


def test_sorts(store: Store) -> None:
    for n, (name, priority, percent) in enumerate([("b", 0, 50.0), ("A", 5, 10.0), ("c", -5, 90.0)]):
        make = store.create(name, priority=priority, at=NOW + timedelta(seconds=n))
        progress = make.progress(RUN, seq=1, percent=percent, epoch=1, total_epochs=9, eta_seconds=None, at=NOW)
        store.writer.commit([progress, make.succeeded(RUN, at=NOW)] if name == "b" else [progress])
    expected = {
        "created_at": ["b", "A", "c"],
        "name": ["A", "b", "c"],
        "priority": ["c", "b", "A"],
        "progress": ["A", "c", "b"],  # completed is 100
    }
    for sort, names in expected.items():
        assert _names(store.reader.jobs(JobQuery(sort=sort))) == names
        assert _names(store.reader.jobs(JobQuery(sort=f"-{sort}"))) == names[::-1]
    assert _names(store.reader.jobs(JobQuery(sort="status")))[0] == "b"  # completed before running


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-progress", "priority", "-status", "-cost"])
def test_pages_by_cursor_have_each_job_once(store: Store, sort: str) -> None:
    """Most are equal in what they are sorted by, so the id has to decide."""
    for n in range(11):
        store.create(f"job {n % 2}", at=NOW + timedelta(seconds=n // 4))
    whole = [row.state.id for row in store.reader.jobs(JobQuery(sort=sort, limit=100)).jobs]
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = store.reader.jobs(JobQuery(sort=sort, limit=3, cursor=cursor))
        assert page.total == 11
        seen += [row.state.id for row in page.jobs]
        cursor = page.next_cursor
    assert cursor is None
    assert seen == whole


def test_pages_stay_whole_while_jobs_are_added(store: Store) -> None:
    for n in range(6):
        store.create(f"old {n}", at=NOW + timedelta(seconds=n))
    first = store.reader.jobs(JobQuery(limit=3))
    for n in range(4):
        store.create(f"new {n}", at=NOW + timedelta(hours=1, seconds=n))
    rest = store.reader.jobs(JobQuery(limit=3, cursor=first.next_cursor))
    assert _names(first) + _names(rest) == [f"old {n}" for n in range(5, -1, -1)]


def test_cursors_work_with_filters(store: Store) -> None:
    for n in range(9):
        store.create(f"{n}", user="ada" if n % 3 else "bob", at=NOW + timedelta(seconds=n))
    assert _walk(store, JobQuery(sort="created_at", limit=2, user="ada")) == ["1", "2", "4", "5", "7", "8"]
    assert _walk(store, JobQuery(limit=4, status=(JobStatus.QUEUED,))) == [str(n) for n in range(8, -1, -1)]


def test_a_cursor_of_another_sort_is_refused(store: Store) -> None:
    for n in range(3):
        store.create(f"{n}")
    cursor = store.reader.jobs(JobQuery(limit=1)).next_cursor
    with pytest.raises(InvalidInput, match="another sort"):
        store.reader.jobs(JobQuery(sort="name", cursor=cursor))


@pytest.mark.parametrize(
    "query",
    [
        JobQuery(sort="id; DROP TABLE training_jobs"),
        JobQuery(cursor="no cursor"),
        JobQuery(cursor="WzFd"),
        JobQuery(cursor="\x00ü"),
        JobQuery(limit=-1),
        JobQuery(limit=10**9),
        JobQuery(offset=-1),
        JobQuery(offset=2**63),
    ],
)
def test_what_cannot_be_answered_is_invalid_input(store: Store, query: JobQuery) -> None:
    with pytest.raises(InvalidInput):
        store.reader.jobs(query)


@pytest.mark.parametrize("field", ["kind", "name", "user"])
def test_any_text_may_be_searched_for(store: Store, field: str) -> None:
    for text in ("\x00", "\udc80", "'", "x" * 10_000):
        assert store.reader.jobs(JobQuery(**{field: text})).total == 0  # type: ignore[arg-type]


def test_places_in_the_queue(store: Store) -> None:
    one, two, three = (store.create(name) for name in ("one", "two", "three"))
    store.writer.set_queue({job_id(one): QueuePlace(position=1), job_id(two): QueuePlace(position=2, reason="1 GPU")})
    places = {row.state.job_name: row.queue for row in store.reader.jobs(JobQuery()).jobs}
    assert places == {"one": QueuePlace(position=1), "two": QueuePlace(position=2, reason="1 GPU"), "three": None}

    store.writer.commit([one.started(RUN, at=NOW)])
    assert store.reader.job(job_id(one)).queue is None  # it waits no longer, whatever the dispatcher said last

    store.writer.set_queue({job_id(two): QueuePlace(position=1), job_id(three): QueuePlace(position=2, reason="n\x00")})
    assert store.reader.job(job_id(two)).queue == QueuePlace(position=1)
    assert store.reader.job(job_id(three)).queue == QueuePlace(position=2, reason="n\N{REPLACEMENT CHARACTER}")
    store.writer.set_queue({})
    assert store.reader.job(job_id(two)).queue is None
