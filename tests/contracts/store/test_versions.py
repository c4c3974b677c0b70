"""Versions of models: numbers without gaps or doubles, aliases, notes, and what stays when a job goes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.store.conftest import NOW, RUN, Store, job_id
from thornback.errors import Conflict, InvalidInput, JobNotFound, NotFound
from thornback.jobs.events import EventFactory
from thornback.jobs.versions import ModelVersion, NewVersion, VersionInUse, VersionPlan
from thornback.store.engine import open_engine
from thornback.store.models import ModelReader
from thornback.store.write import StoreWriter


def new_version(of: str, version: int = 1, *, model: str = "mira", user: str = "ada", **config: Any) -> NewVersion:
    return NewVersion(
        model=model,
        user=user,
        version=version,
        job_id=of,
        key=f"loras/ada/{of}/v{version}/model.safetensors",
        size_bytes=1000 + version,
        sha256="ab" * 32,
        at=NOW + timedelta(minutes=version),
        config={"trigger": "TOK", "steps": 1000, **config},
        lineage={"training": {"job_id": of}},
    )


def made(store: Store, count: int = 1, *, model: str = "mira", user: str = "ada") -> list[str]:
    """The ids of ended jobs that made versions 1, 2, …"""
    ids = []
    for number in range(1, count + 1):
        make = store.create()
        store.writer.commit([make.succeeded(RUN, at=NOW)])
        ids.append(job_id(make))
        assert registered(store.writer, new_version(ids[-1], number, model=model, user=user)).version == number
    return ids


def registered(writer: StoreWriter, new: NewVersion) -> ModelVersion:
    version = writer.register_version(new).version
    assert version is not None
    return version


def publish(writer: StoreWriter, job: str, *, model: str) -> int:
    """What `publish_version` does, without files; returns how often the number was taken."""
    plan = writer.plan_version(user="ada", model=model, job_id=job)
    tries = 0
    while plan.version is None:
        plan = writer.register_version(new_version(job, plan.next, model=model))
        tries += 1
    return tries


def going_on(store: Store, key: str) -> EventFactory:
    """A job that has not ended and reads the file of a version."""
    config = {"base_model": "tiny", "dataset": f"s3://bucket/{key}"}
    return store.create("goes on", kind="lora", backend="ray", config=config)


def set_alias(store: Store, alias: str, version: int | None, *, model: str = "mira", user: str = "ada") -> None:
    store.writer.set_alias(user=user, model=model, alias=alias, version=version, by="ada", at=NOW)


def reader(store: Store) -> ModelReader:
    return ModelReader(store.reader.engine)


def test_the_first_version_makes_the_model(store: Store) -> None:
    job = job_id(store.create())
    assert store.writer.plan_version(user="ada", model="mira", job_id=job) == VersionPlan(next=1)
    with pytest.raises(NotFound, match="no model mira"):
        reader(store).model("ada", "mira")
    plan = store.writer.register_version(new_version(job, learning_rate=4e-4))
    version = plan.version
    assert version is not None
    assert plan.next == 2
    assert (version.user, version.model, version.version, version.job_id) == ("ada", "mira", 1, job)
    assert (version.size_bytes, version.sha256, version.notes) == (1001, "ab" * 32, "")
    assert version.created_at == NOW + timedelta(minutes=1)
    assert version.config == {"trigger": "TOK", "steps": 1000, "learning_rate": 4e-4}
    assert version.names == ("latest",)
    assert reader(store).version("ada", "mira", "latest") == version
    model = reader(store).model("ada", "mira")
    assert (model.versions, model.latest, model.aliases) == (1, version, {"latest": 1})


def test_a_job_makes_one_version_however_often_it_asks(store: Store) -> None:
    (first,) = made(store)
    other = job_id(store.create())
    plan = store.writer.register_version(new_version(first, 2))
    assert plan.version is not None
    assert plan.version.version == 1
    assert store.writer.plan_version(user="ada", model="mira", job_id=first) == plan
    assert store.count("model_versions") == 1
    with pytest.raises(Conflict, match="version 1 of model mira"):
        store.writer.register_version(new_version(first, 1, model="another"))
    assert registered(store.writer, new_version(other, 1, model="another")).version == 1


def test_another_number_than_the_next_changes_nothing(store: Store) -> None:
    made(store)
    job = job_id(store.create())
    plans = [store.writer.register_version(new_version(job, number)) for number in (0, 1, 3, 2**31)]
    assert plans == [VersionPlan(next=2)] * 4
    assert store.count("model_versions") == 1


def test_models_belong_to_a_user(store: Store) -> None:
    made(store, 2)
    made(store, 1, user="bob")
    assert [model.versions for model in reader(store).models("ada").models] == [2]
    assert reader(store).model("bob", "mira").latest.version == 1


def test_only_jobs_that_are_there_and_stay(store: Store) -> None:
    make = store.create()
    with pytest.raises(JobNotFound):
        store.writer.register_version(new_version(str(uuid.uuid4())))
    with pytest.raises(JobNotFound):
        store.writer.plan_version(user="ada", model="mira", job_id="no id")
    store.writer.commit([make.cancel_requested(user="ada", at=NOW, delete=True)])
    with pytest.raises(Conflict, match="being deleted"):
        store.writer.register_version(new_version(job_id(make)))
    assert store.count("models") == 0


def test_names_that_no_model_has(store: Store) -> None:
    job = job_id(store.create())
    for model in ("", ".hidden", "a/b", "a b", "x" * 101, "ü", "a\n"):
        with pytest.raises(InvalidInput, match="model"):
            store.writer.register_version(new_version(job, model=model))


def test_an_alias_points_at_one_version_and_can_move(store: Store) -> None:
    made(store, 3)
    set_alias(store, "production", 1)
    set_alias(store, "Best", 1)
    set_alias(store, "production", 3)
    set_alias(store, "production", 3)
    models = reader(store)
    assert models.version("ada", "mira", "production").version == 3
    assert models.version("ada", "mira", "latest").names == ("latest", "production")
    assert models.model("ada", "mira").aliases == {"latest": 3, "production": 3, "Best": 1}
    assert [version.aliases for version in models.versions("ada", "mira").versions] == [("production",), (), ("Best",)]
    set_alias(store, "production", None)
    set_alias(store, "production", None)
    with pytest.raises(NotFound, match="no version production"):
        models.version("ada", "mira", "production")


def test_aliases_that_cannot_be_set(store: Store) -> None:
    made(store)
    for alias in ("latest", "LATEST", "3", "v3", "V12", "", "-x", "a b", "x" * 101, "a\n"):
        with pytest.raises(InvalidInput, match="alias"):
            set_alias(store, alias, 1)


def test_an_alias_needs_its_version(store: Store) -> None:
    made(store)
    with pytest.raises(NotFound, match="no version 2"):
        set_alias(store, "production", 2)
    with pytest.raises(NotFound, match="no model nobody"):
        set_alias(store, "production", 1, model="nobody")
    assert store.count("model_aliases") == 0


def test_notes(store: Store) -> None:
    made(store, 2)
    store.writer.note_version(user="ada", model="mira", version=2, notes="skin\x00 too smooth")
    assert reader(store).version("ada", "mira", "2").notes == "skin\N{REPLACEMENT CHARACTER} too smooth"
    assert reader(store).version("ada", "mira", "1").notes == ""
    with pytest.raises(InvalidInput, match="notes"):
        store.writer.note_version(user="ada", model="mira", version=2, notes="x" * 10_001)
    with pytest.raises(NotFound):
        store.writer.note_version(user="ada", model="mira", version=3, notes="")


def test_references(store: Store) -> None:
    made(store, 2)
    found = [reader(store).version("ada", "mira", ref).version for ref in ("1", "v1", "V2", "Latest")]
    assert found == [1, 1, 2, 2]
    for ref in ("0", "3", "9999999999", "production", "v", "1.0", "", "\x00"):
        with pytest.raises(NotFound, match="no version"):
            reader(store).version("ada", "mira", ref)
    with pytest.raises(NotFound, match="no model"):
        reader(store).version("bob", "mira", "1")


def test_a_deleted_number_is_not_given_again(store: Store) -> None:
    made(store, 2)
    for version in (2, 2, 7):
        store.writer.delete_version(user="ada", model="mira", version=version)
    assert reader(store).model("ada", "mira").aliases == {"latest": 1}
    fresh = job_id(store.create())
    assert publish(store.writer, fresh, model="mira") == 1
    assert [version.version for version in reader(store).versions("ada", "mira").versions] == [3, 1]


def test_a_model_without_versions_is_not_shown(store: Store) -> None:
    made(store)
    store.writer.delete_version(user="ada", model="mira", version=1)
    models = reader(store)
    assert models.models("ada").models == ()
    assert models.models("ada").total == 0
    for question in (models.model, models.versions):
        with pytest.raises(NotFound):
            question("ada", "mira")


def test_what_is_in_use_cannot_be_deleted(store: Store) -> None:
    made(store, 2)
    set_alias(store, "production", 1)
    with pytest.raises(VersionInUse, match="production") as caught:
        store.writer.delete_version(user="ada", model="mira", version=1)
    assert caught.value.details["aliases"] == ["production"]
    running = job_id(store.create())
    registered(store.writer, new_version(running, 3))
    with pytest.raises(VersionInUse, match=running):
        store.writer.delete_version(user="ada", model="mira", version=3)
    key = reader(store).version("ada", "mira", "2").key
    user = going_on(store, key)
    with pytest.raises(VersionInUse, match=job_id(user)):
        store.writer.delete_version(user="ada", model="mira", version=2)
    store.writer.commit([user.cancelled(at=NOW)])
    store.writer.delete_version(user="ada", model="mira", version=2)
    assert [version.version for version in reader(store).versions("ada", "mira").versions] == [3, 1]


def test_a_job_takes_its_versions_with_it_those_in_use_excepted(store: Store) -> None:
    jobs = made(store, 3)
    set_alias(store, "production", 2)
    key = reader(store).version("ada", "mira", "3").key
    going_on(store, key)
    assert [[version.version for version in store.reader.kept_versions(job)] for job in jobs] == [[], [2], [3]]
    assert store.reader.kept_versions(str(uuid.uuid4())) == store.reader.kept_versions("no id") == ()
    for job in jobs:
        store.writer.delete(job)
    left = reader(store).versions("ada", "mira").versions
    assert [(version.version, version.job_id) for version in left] == [(3, jobs[2]), (2, jobs[1])]
    set_alias(store, "production", None)
    store.writer.delete_version(user="ada", model="mira", version=2)
    assert store.count("model_versions") == 1


def test_a_version_whose_job_is_going_gets_no_alias_and_loses_none(store: Store) -> None:
    """Which of its files stay was settled with the wish."""
    jobs = made(store, 2)
    set_alias(store, "production", 1)
    for job in jobs:
        store.writer.commit([EventFactory(job).cancel_requested(user="ada", at=NOW, delete=True)])
    for alias, version in (("production", None), ("best", 2), ("production", 2)):
        with pytest.raises(Conflict, match="being deleted"):
            set_alias(store, alias, version)
    assert [len(store.reader.kept_versions(job)) for job in jobs] == [1, 0]


def test_pages(store: Store) -> None:
    made(store, 5)
    for model in ("b", "c", "d"):
        made(store, 1, model=model)
    models = reader(store)
    assert models.versions("ada", "mira", limit=0).versions == ()
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = models.versions("ada", "mira", limit=2, cursor=cursor)
        seen += [version.version for version in page.versions]
        assert page.total == 5
        if (cursor := page.next_cursor) is None:
            break
    assert seen == [5, 4, 3, 2, 1]
    first = models.models("ada", limit=3)
    rest = models.models("ada", limit=3, cursor=first.next_cursor)
    assert [model.name for model in (*first.models, *rest.models)] == ["d", "c", "b", "mira"]
    assert (first.total, rest.total, rest.next_cursor) == (4, 4, None)
    for question in (models.models, lambda user, **options: models.versions(user, "mira", **options)):
        with pytest.raises(InvalidInput, match="cursor"):
            question("ada", cursor="x")
        with pytest.raises(InvalidInput, match="limit"):
            question("ada", limit=1001)


def test_what_a_database_cannot_hold_is_mended(store: Store) -> None:
    job = job_id(store.create())
    version = registered(store.writer, new_version(job, loss=float("nan"), word="a\x00b", half="\ud800"))
    assert version.config == {"trigger": "TOK", "steps": 1000, "loss": None, "word": "a\x00b", "half": "?"}
    assert reader(store).of_job(job) == version


Hand = Sequence[int]  # the jobs that one writer publishes, some of them twice or by several writers


@settings(max_examples=8, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hands=st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=6), min_size=2, max_size=4))
def test_writers_at_once_leave_no_gap_and_no_double(store: Store, hands: list[Hand]) -> None:
    """Writers of their own, as an actor and the one that replaces it, or many pipelines, would be."""
    model = f"m{uuid.uuid4().hex}"
    jobs = {number: job_id(store.create()) for number in {number for hand in hands for number in hand}}
    barrier = threading.Barrier(len(hands))

    def work(hand: Hand) -> None:
        writer = StoreWriter(open_engine(store.url, writer=True))
        barrier.wait(10)
        for number in hand:
            publish(writer, jobs[number], model=model)
        writer.close()

    with ThreadPoolExecutor(len(hands)) as pool:
        list(pool.map(work, hands, timeout=60))
    versions = reader(store).versions("ada", model, limit=100).versions
    assert [version.version for version in versions] == list(range(len(jobs), 0, -1))
    assert {version.job_id for version in versions} == set(jobs.values())
    assert all(f"/v{version.version}/" in version.key for version in versions)
    assert reader(store).model("ada", model).aliases == {"latest": len(jobs)}
