"""Money as the writer sees to it: set aside with the job, settled at its end, never more than somebody may have."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.store.conftest import NOW, RUN, Store, spec
from thornback.errors import InvalidInput, NotFound, QuotaExceeded, SpendExceeded
from thornback.jobs.events import EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import FailureReason
from thornback.metrics.port import Created, NewJob
from thornback.providers.catalogue import load_catalogue
from thornback.settings import Quota, Settings
from thornback.spend.prices import Tariff
from thornback.spend.quotas import ClearQuota, Holder, SetQuota
from thornback.store.engine import open_engine
from thornback.store.money import Money
from thornback.store.quotas import QuotaReader
from thornback.store.write import StoreWriter

ADA = Holder("user", "ada")
# At 0.002 USD a step: paid by step there is neither a margin nor a surprise at the end.
ORDER: Mapping[str, Any] = {
    "kind": "lora",
    "backend": "fal",
    "job_name": "fox",
    "config": {"trainer": "flux-lora-fast", "dataset": "https://x.example/d.zip", "trigger_word": "fox"},
}


def writer_of(store: Store, **tariff: Any) -> StoreWriter:
    """Another writer of the same database, that goes by a tariff."""
    catalogue = load_catalogue(Settings(catalogue=None))
    return StoreWriter(store.engine, money=Money(Tariff(**tariff), lambda: catalogue))


def order(steps: int = 300) -> dict[str, Any]:
    config = {**ORDER["config"], "steps": steps}
    return parse_spec({**ORDER, "config": config}).model_dump(mode="json")


def price_of(steps: int = 300) -> float:
    parsed: Any = parse_spec({**ORDER, "config": {**ORDER["config"], "steps": steps}})
    return load_catalogue(Settings(catalogue=None)).trainer("fal", parsed.config.trainer).estimate(parsed.config).usd


def create(writer: StoreWriter, body: Mapping[str, Any], **fields: Any) -> Created:
    new = NewJob(
        job_id=str(uuid.uuid4()), spec=body, user=fields.pop("user", "ada"), at=fields.pop("at", NOW), **fields
    )
    return writer.create(new)[0]


def entries(store: Store, job_id: str | None = None) -> list[tuple[str, int]]:
    rows = "SELECT entry, micro_usd, job_id FROM ledger ORDER BY id"
    with store.engine.connect() as connection:
        found = connection.execute(sa.text(rows)).all()
    wanted = None if job_id is None else uuid.UUID(job_id)
    return [(row[0], int(row[1])) for row in found if wanted is None or uuid.UUID(str(row[2])) == wanted]


def total(store: Store, user: str = "ada") -> int:
    with store.engine.connect() as connection:
        rows = sa.text('SELECT COALESCE(SUM(micro_usd), 0) FROM ledger WHERE "user" = :user')
        return int(connection.execute(rows, {"user": user}).scalar_one())


def told(job_id: str, **facts: Any) -> Any:
    return EventFactory(job_id).described(RUN, facts, seq=1, at=NOW)


def ended(job_id: str, how: str = "succeeded", *, after: timedelta = timedelta(hours=1)) -> Any:
    make, at = EventFactory(job_id), NOW + after
    if how == "cancelled":
        return make.cancelled(at=at)
    if how == "failed":
        return make.failed(RUN, reason=FailureReason.PROVIDER_FAILED, message="no", at=at)
    return make.succeeded(RUN, at=at)


def test_set_aside_and_settled_with_what_the_provider_told(store: Store) -> None:
    writer = writer_of(store)
    job = create(writer, order()).job
    reserved = round(price_of() * 1_000_000)
    assert entries(store) == [("reserved", reserved)]
    writer.commit([told(job.id, cost_usd=0.123456), ended(job.id)])
    assert entries(store)[1:] == [("released", -reserved), ("charged", 123_456)]
    assert total(store) == 123_456
    writer.commit([ended(job.id)])  # a repeat
    late = EventFactory(job.id).described(RUN, {"cost_usd": 0.2}, seq=2, at=NOW + timedelta(hours=2))
    writer.commit([late])
    assert entries(store)[3:] == [("corrected", 76_544)]
    assert total(store) == 200_000


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_what_did_not_come_about_is_given_back(store: Store, how: str) -> None:
    writer = writer_of(store, user=Quota(usd_day=price_of() * 1.5))
    job = create(writer, order()).job
    with pytest.raises(SpendExceeded):
        create(writer, order())
    writer.commit([ended(job.id, how)])
    assert total(store) == 0
    create(writer, order())


def test_a_cancelled_order_that_cost_something_stays_charged(store: Store) -> None:
    writer = writer_of(store)
    job = create(writer, order()).job
    writer.commit([told(job.id, cost_usd=0.05), ended(job.id, "cancelled")])
    assert total(store) == 50_000


def test_an_order_without_a_told_cost_is_charged_as_estimated(store: Store) -> None:
    writer = writer_of(store)
    job = create(writer, order()).job
    writer.commit([ended(job.id)])
    assert total(store) == round(price_of() * 1_000_000)


def test_of_a_set_that_was_cancelled_the_images_that_came_are_charged(store: Store) -> None:
    writer = writer_of(store)
    body = {
        "kind": "image_set",
        "backend": "replicate",
        "job_name": "ada",
        "config": {"character": "ada", "prompts": ["front view"], "count": 6},
    }
    job = create(writer, parse_spec(body).model_dump(mode="json")).job
    facts = told(job.id, cost_estimate_usd=0.6, images_done=2, images_total=6)
    writer.commit([facts, ended(job.id, "cancelled")])
    assert total(store) == 200_000


def test_own_machines_cost_the_time_from_start_to_end(store: Store) -> None:
    writer = writer_of(store, gpu_hour=2.5, cpu_hour=0.1, margin=1.0, default_hours=3.0)
    body = spec(config={"accelerator": "gpu", "devices": 2, "cpus_per_device": 4})
    job = create(writer, body).job
    # 2 GPUs at 2.50 and 8 CPUs at 0.10 are 5.80 an hour; 3 hours where nothing is known
    assert entries(store) == [("reserved", 17_400_000)]
    make = EventFactory(job.id)
    writer.commit([make.started(RUN, at=NOW), ended(job.id, "failed", after=timedelta(minutes=30))])
    assert total(store) == 2_900_000
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT SUM(gpu_ms) FROM ledger")).scalar_one() == 3_600_000


def test_another_price_changes_nothing_of_what_is_settled(store: Store) -> None:
    job = create(writer_of(store, gpu_hour=1.0), spec(config={"accelerator": "gpu"})).job
    make = EventFactory(job.id)
    writer_of(store, gpu_hour=1.0).commit([make.started(RUN, at=NOW), ended(job.id)])
    later = writer_of(store, gpu_hour=9.0)
    later.commit([make.cancel_requested(user="ada", at=NOW, delete=True), told(job.id, device="H200")])
    assert total(store) == 1_000_000


def test_past_runs_tell_how_much_is_set_aside(store: Store) -> None:
    writer = writer_of(store, gpu_hour=1.0, margin=1.5, default_hours=9.0)
    body = spec(config={"accelerator": "gpu", "epochs": 10})
    first = create(writer, body).job
    make = EventFactory(first.id)
    rows = [make.metrics(epoch=n, batch=None, phase="val", values={"val_loss": 1.0}, at=NOW) for n in range(1, 11)]
    progress = make.progress(RUN, seq=1, percent=99, epoch=10, total_epochs=10, eta_seconds=None, at=NOW)
    writer.commit([make.started(RUN, at=NOW), *rows, progress, ended(first.id, after=timedelta(hours=2))])
    second = create(writer, spec(config={"accelerator": "gpu", "epochs": 5})).job
    assert entries(store, second.id) == [("reserved", 1_500_000)]  # half of two hours, and a margin


def test_on_cpus_that_cost_nothing_nothing_is_written(store: Store) -> None:
    writer = writer_of(store, gpu_hour=2.0)
    job = create(writer, spec(config={"accelerator": "cpu"})).job
    writer.commit([EventFactory(job.id).started(RUN, at=NOW), ended(job.id)])
    assert entries(store) == []


def test_a_run_that_found_no_gpu_did_not_use_one(store: Store) -> None:
    writer = writer_of(store, gpu_hour=2.0)
    job = create(writer, spec(config={"accelerator": "auto"})).job
    writer.commit([EventFactory(job.id).started(RUN, at=NOW), told(job.id, device="cpu", workers=1), ended(job.id)])
    assert total(store) == 0


@pytest.mark.parametrize(
    "facts",
    [
        {"workers": 9e8, "device": "H200"},
        {"workers": "many", "device": ["cpu"]},
        {"workers": -1},
        {"workers": True, "device": ""},
    ],
)
def test_nonsense_of_a_run_stops_no_commit(store: Store, facts: Mapping[str, Any]) -> None:
    writer = writer_of(store, gpu_hour=1e6, cpu_hour=1e6, user=Quota(gpu_hours=1e9))
    job = create(writer, spec(config={"accelerator": "gpu"})).job
    writer.commit([EventFactory(job.id).started(RUN, at=NOW.replace(year=1980)), told(job.id, **facts)])
    writer.commit([ended(job.id)])
    assert store.reader.job(job.id).state.final is not None
    assert total(store) > 0
    for value in ("free", -3, None, float("inf"), 1e300):
        order_id = create(writer, order(), user="bob").job.id
        writer.commit([told(order_id, cost_usd=value), ended(order_id)])
    assert total(store, "bob") == 5 * round(price_of() * 1_000_000)


def test_deleting_does_not_give_back_what_was_spent(store: Store) -> None:
    writer = writer_of(store)
    done, waiting = create(writer, order()).job, create(writer, order()).job
    writer.commit([told(done.id, cost_usd=0.5), ended(done.id)])
    writer.delete(done.id)
    writer.delete(waiting.id)
    assert total(store) == 500_000
    assert entries(store, waiting.id)[-1][0] == "released"


def test_a_part_takes_over_what_was_set_aside_for_its_whole(store: Store) -> None:
    whole = {
        "kind": "video_lora",
        "backend": "fal",
        "job_name": "fox",
        "config": {"video_url": "https://x.example/v.mp4", "trigger_word": "fox", "steps": 300},
    }
    writer = writer_of(store, user=Quota(usd_day=price_of() * 1.1, jobs=1))
    parent = create(writer, parse_spec(whole).model_dump(mode="json")).job
    reserved = total(store)
    assert reserved > 0
    with pytest.raises(QuotaExceeded):
        create(writer, order())
    later = NOW + timedelta(days=1, hours=2)
    child = create(writer, order(), parent_id=parent.id, at=later).job
    assert total(store) == round(price_of() * 1_000_000)
    assert entries(store, parent.id) == [("reserved", reserved), ("released", -reserved)]
    writer.commit([told(child.id, cost_usd=0.3), ended(child.id, after=timedelta(days=1, hours=3))])
    writer.commit([ended(parent.id, after=timedelta(days=1, hours=3))])
    assert total(store) == 300_000
    with store.engine.connect() as connection:  # on the day on which the whole was admitted
        booked = connection.execute(sa.text("SELECT DISTINCT booked_at FROM ledger")).all()
    assert len(booked) == 1


def test_a_training_that_was_taken_over_is_not_refused(store: Store) -> None:
    writer = writer_of(store, user=Quota(usd_day=0.0, jobs=0))
    job = create(writer, order(), runs_already=True).job
    assert entries(store) == []
    writer.commit([told(job.id, cost_usd=0.7), ended(job.id)])
    assert entries(store) == [("charged", 700_000)]


def test_the_refusal_says_all(store: Store) -> None:
    writer = writer_of(store, user=Quota(usd_month=price_of() * 2.5))
    for _ in range(2):
        create(writer, order())
    with pytest.raises(SpendExceeded) as refused:
        create(writer, order())
    details = refused.value.details
    assert details["quota"] == "usd_month"
    assert details["holder"] == {"kind": "user", "name": "ada"}
    assert (details["used"], details["wanted"]) == (round(price_of() * 2, 6), price_of())
    assert details["limit"] == round(price_of() * 2.5, 6)
    assert details["resets_at"] == "2026-04-01T00:00:00+00:00"
    assert details["lifted_by"] == "an admin"
    assert "thornback quota set ada" in refused.value.message
    assert store.count("training_jobs") == 2
    assert [row.id for row in store.reader.active()] != []
    create(writer, order(), user="bob")  # somebody else may
    create(writer, order(), at=NOW + timedelta(days=31))  # and the next month is another


def test_jobs_at_once_and_a_day(store: Store) -> None:
    writer = writer_of(store, user=Quota(jobs=2), team=Quota(jobs=3))
    first = create(writer, spec()).job
    create(writer, spec(), team="blue")
    with pytest.raises(QuotaExceeded, match="uses 2 of 2 jobs at once") as refused:
        create(writer, spec())
    assert "retry_after_s" not in refused.value.details
    writer.commit([ended(first.id)])
    create(writer, spec(), team="blue")
    create(writer, spec(), team="blue", user="bob")
    with pytest.raises(QuotaExceeded, match="team blue uses 3 of 3"):
        create(writer, spec(), team="blue", user="cleo")
    create(writer, spec(), user="cleo")


def test_gpu_hours_and_storage(store: Store) -> None:
    writer = writer_of(store, user=Quota(gpu_hours=2.5, storage_bytes=1000), default_hours=1.0)
    body = spec(config={"accelerator": "gpu"})
    jobs = [create(writer, body).job for _ in range(2)]
    with pytest.raises(QuotaExceeded, match=r"2 of 2\.5 GPU hours of this month"):
        create(writer, body)
    make = EventFactory(jobs[0].id)
    file = make.artifact(RUN, name="m.onnx", type="onnx", uri="/runs/m.onnx", at=NOW, size_bytes=600)
    writer.commit([file])
    cpu = spec(config={"accelerator": "cpu"})
    create(writer, cpu)
    again = make.artifact(
        RUN, name="m.onnx", type="onnx", uri="/runs/m.onnx", at=NOW + timedelta(hours=1), size_bytes=1001
    )
    writer.commit([again])
    with pytest.raises(QuotaExceeded, match="1001 of 1000 bytes of storage"):
        create(writer, cpu)
    writer.commit([ended(jobs[0].id)])
    writer.delete(jobs[0].id)
    create(writer, cpu)


def test_a_warning_comes_once_as_the_share_is_reached(store: Store) -> None:
    writer = writer_of(store, user=Quota(usd_month=price_of() * 5), warn_share=0.8)
    made = [create(writer, order()) for _ in range(5)]
    assert [[level.what.value for level in one.nearly_used] for one in made] == [[], [], [], ["usd_month"], []]
    alerts = [event for event in store.reader.events(0) if event.kind.value == "alert"]
    assert [event.job_id for event in alerts] == [made[3].job.id]
    assert alerts[0].data["rule"] == "quota usd_month of user ada"


def test_an_admin_lifts_and_lowers(store: Store) -> None:
    writer = writer_of(store, user=Quota(jobs=0, usd_day=1e6))
    reader = QuotaReader(store.engine, Tariff(user=Quota(jobs=0, usd_day=1e6)))
    lift = SetQuota(holder=ADA, limits={"jobs": 1, "usd_day": None}, note="a demo", by="root", at=NOW)
    assert writer.administer(lift)
    quota, own, used, levels = reader.of(ADA, at=NOW)
    assert (quota.jobs, quota.usd_day, used.jobs) == (1, None, 0)
    assert own is not None
    assert (own.set_by, own.note, own.limits) == ("root", "a demo", {"jobs": 1, "usd_day": None})
    assert [level.what.value for level in levels] == ["jobs"]
    create(writer, spec())
    with pytest.raises(QuotaExceeded):
        create(writer, spec())
    assert [row.holder for row in reader.all(at=NOW)] == [ADA]
    assert writer.administer(ClearQuota(holder=ADA, by="root", at=NOW))
    assert not writer.administer(ClearQuota(holder=ADA, by="root", at=NOW))
    assert reader.of(ADA, at=NOW)[0].jobs == 0
    with store.engine.connect() as connection:
        acts = connection.execute(
            sa.text("SELECT actor, action, target FROM audit_log WHERE action LIKE 'quota%' ORDER BY seq")
        ).all()
    assert [tuple(act) for act in acts] == [("root", "quota.set", "user ada"), ("root", "quota.clear", "user ada")]


def test_what_was_lifted_ends(store: Store) -> None:
    writer, hour = writer_of(store, user=Quota(jobs=0)), timedelta(hours=1)
    writer.administer(SetQuota(holder=ADA, limits={"jobs": 9}, note="", by="root", at=NOW, ends_at=NOW + hour))
    create(writer, spec(), at=NOW + hour - timedelta(seconds=1))
    with pytest.raises(QuotaExceeded):
        create(writer, spec(), at=NOW + hour)


def test_limits_that_are_none_are_refused(store: Store) -> None:
    writer = writer_of(store)
    for limits in ({"jobs": -1}, {"planes": 3}, {"usd_day": float("nan")}):
        with pytest.raises(InvalidInput):
            writer.administer(SetQuota(holder=ADA, limits=limits, note="", by="root", at=NOW))
    with pytest.raises(NotFound):
        writer.administer(SetQuota(holder=Holder("team", "no"), limits={}, note="", by="root", at=NOW))
    assert store.count("quotas") == store.count("audit_log") == 0


@pytest.mark.parametrize("each", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_many_at_once_from_several_writers_never_exceed(store: Store, each: int) -> None:
    """Four writers, as a replaced actor and the one before it would be."""
    limit = price_of() * 20.5
    refused: list[str] = []
    made: list[str] = []

    def submit(writer: StoreWriter) -> None:
        for _ in range(each):
            try:
                made.append(create(writer, order()).job.id)
            except SpendExceeded as error:
                refused.append(error.details["quota"])

    writers = [
        StoreWriter(
            open_engine(store.url, writer=True),
            money=Money(Tariff(user=Quota(usd_day=limit)), lambda: load_catalogue(Settings(catalogue=None))),
        )
        for _ in range(4)
    ]
    threads = [threading.Thread(target=submit, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()
    assert (len(made), len(refused)) == (20, 4 * each - 20)
    assert total(store) == 20 * round(price_of() * 1_000_000) <= limit * 1_000_000
    assert store.count("training_jobs") == 20


_STEP = st.tuples(
    st.sampled_from(["create", "succeed", "told", "fail", "cancel", "delete"]), st.integers(0, 9), st.integers(1, 900)
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEP, min_size=5, max_size=40))
def test_whatever_happens_the_sum_is_what_jobs_cost_and_never_above_the_quota(
    store: Store, steps: list[tuple[str, int, int]]
) -> None:
    limit, user = 2.0, uuid.uuid4().hex  # each example has a user of its own
    writer = writer_of(store, user=Quota(usd_month=limit))
    waiting: list[tuple[str, int]] = []
    costs: list[int] = []
    for what, which, number in steps:
        if what == "create":
            price = round(price_of(number) * 1_000_000)
            try:
                waiting.append((create(writer, order(number), user=user).job.id, price))
            except SpendExceeded:
                assert sum(costs) + sum(reserved for _, reserved in waiting) + price > limit * 1_000_000
        elif waiting:
            job_id, reserved = waiting.pop(which % len(waiting))
            cost = {"succeed": reserved, "told": reserved * which // 10}.get(what, 0)
            if what == "delete":
                writer.delete(job_id)
            else:
                facts = [told(job_id, cost_usd=cost / 1_000_000)] if what == "told" else []
                writer.commit([*facts, ended(job_id, {"fail": "failed", "cancel": "cancelled"}.get(what, "succeeded"))])
            costs.append(cost)
        assert total(store, user) == sum(costs) + sum(reserved for _, reserved in waiting) <= limit * 1_000_000
