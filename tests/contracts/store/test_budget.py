"""One budget for all trials of a sweep: moved to them and back, never exceeded, and a sweep counts as its trials."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.store.conftest import NOW, RUN, Store
from tests.contracts.store.test_money import ORDER, create, ended, entries, order, price_of, told, total, writer_of
from thornback.errors import BudgetSpent, QuotaExceeded, SpendExceeded
from thornback.jobs.events import EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.providers.catalogue import load_catalogue
from thornback.settings import Quota, Settings
from thornback.spend.prices import Tariff
from thornback.spend.quotas import GoOn
from thornback.store.engine import open_engine
from thornback.store.money import Money
from thornback.store.spend_report import read_spent
from thornback.store.sweeps import read_sweep
from thornback.store.write import StoreWriter

PRICE = round(price_of() * 1_000_000)  # of one trial


def sweep(usd: float | None = None, **trial: Any) -> Mapping[str, Any]:
    budget = {} if usd is None else {"usd": usd}
    body = {
        "job_name": "foxes",
        "kind": "sweep",
        "backend": "fal",
        "config": {
            "trial": trial or {"kind": "lora", "config": {**ORDER["config"], "steps": 300}},
            "space": {"config.learning_rate": {"type": "loguniform", "low": 1e-5, "high": 1e-3}},
            "metric": "train_loss",
            "budget": budget,
        },
    }
    return parse_spec(body).model_dump(mode="json")


def started(writer: StoreWriter, usd: float | None = None, **fields: Any) -> JobState:
    return create(writer, sweep(usd), **fields).job


def test_trials_share_one_budget_and_give_back_what_they_leave(store: Store) -> None:
    writer = writer_of(store, user=Quota(usd_day=price_of() * 2))
    whole = started(writer, price_of() * 2)
    assert total(store) == 2 * PRICE
    with pytest.raises(SpendExceeded, match="USD of today"):
        create(writer, order())  # what is set aside for the sweep is nobody else's
    first = create(writer, order(), parent_id=whole.id).job
    second = create(writer, order(), parent_id=whole.id).job
    assert (entries(store, first.id), total(store)) == ([("reserved", PRICE)], 2 * PRICE)
    with pytest.raises(BudgetSpent, match=r"leaves 0\.00, and another trial is set down with") as refused:
        create(writer, order(), parent_id=whole.id)
    assert refused.value.details == {"budget": price_of() * 2, "left": 0.0, "wanted": price_of()}
    writer.commit([told(first.id, cost_usd=0.1), ended(first.id)])
    assert total(store) == 2 * PRICE
    writer.commit([ended(second.id, "cancelled")])  # cost nothing
    third = create(writer, order(), parent_id=whole.id).job
    writer.commit([told(third.id, cost_usd=0.2), ended(third.id)])
    writer.commit([ended(whole.id)])
    assert total(store) == 300_000


def test_a_trial_that_costs_more_takes_it_out_of_what_is_left(store: Store) -> None:
    writer = writer_of(store)
    whole = started(writer, price_of() * 2.5)
    first = create(writer, order(), parent_id=whole.id).job
    writer.commit([told(first.id, cost_usd=price_of() * 1.25), ended(first.id)])
    assert total(store) == round(2.5 * PRICE)
    late = EventFactory(first.id).described(RUN, {"cost_usd": price_of() * 1.75}, seq=9, at=NOW + timedelta(hours=2))
    writer.commit([late])
    assert total(store) == round(2.5 * PRICE)
    with pytest.raises(BudgetSpent):
        create(writer, order(), parent_id=whole.id)
    writer.commit([ended(whole.id)])
    assert total(store) == round(1.75 * PRICE)


def test_nothing_is_counted_twice(store: Store) -> None:
    writer = writer_of(store)
    whole = started(writer, price_of() * 3)
    trials = [create(writer, order(), parent_id=whole.id).job for _ in range(2)]
    writer.commit([told(trials[0].id, cost_usd=0.25), ended(trials[0].id)])
    (row,) = read_spent(store.engine, by=("user",), limit=10)
    assert (row.charged_micro_usd, row.reserved_micro_usd) == (250_000, 3 * PRICE - 250_000)
    board = read_sweep(store.reader, whole.id, now=NOW)
    assert sorted(trial.cost_usd or 0.0 for trial in board.trials) == [0.25, price_of()]
    assert (board.spent.charged, board.spent.reserved) == (0.25, price_of())
    writer.commit([ended(trials[1].id), ended(whole.id)])
    rows = {row.kind: row for row in read_spent(store.engine, by=("kind",), limit=10)}
    assert rows["lora"].charged_micro_usd == 250_000 + PRICE
    assert rows["sweep"].charged_micro_usd == rows["sweep"].reserved_micro_usd == rows["lora"].reserved_micro_usd == 0


def test_without_a_budget_each_trial_is_admitted_by_itself(store: Store) -> None:
    writer = writer_of(store, user=Quota(usd_day=price_of() * 1.5))
    whole = started(writer)
    assert entries(store, whole.id) == []
    first = create(writer, order(), parent_id=whole.id).job
    with pytest.raises(SpendExceeded) as refused:
        create(writer, order(), parent_id=whole.id)
    assert refused.value.details["quota"] == "usd_day"
    writer.commit([ended(first.id, "failed")])
    create(writer, order(), parent_id=whole.id)


def test_a_sweep_counts_as_many_jobs_as_it_has_trials_at_once(store: Store) -> None:
    writer = writer_of(store, user=Quota(jobs=3))
    whole = started(writer)
    trials = [create(writer, order(), parent_id=whole.id).job for _ in range(3)]
    for parent in (whole.id, None):
        with pytest.raises(QuotaExceeded, match="uses 3 of 3 jobs at once"):
            create(writer, order(), parent_id=parent)
    writer.commit([ended(trial.id) for trial in trials])
    create(writer, order())
    create(writer, order())
    create(writer, order(), parent_id=whole.id)  # the first of a sweep goes on with what that was admitted for
    with pytest.raises(QuotaExceeded):
        create(writer, order(), parent_id=whole.id)
    create(writer, order(), user="bob")


def test_deleting_gives_back(store: Store) -> None:
    writer = writer_of(store)
    whole = started(writer, price_of() * 2)
    trial = create(writer, order(), parent_id=whole.id).job
    writer.delete(trial.id)
    assert total(store) == 2 * PRICE
    other = create(writer, order(), parent_id=whole.id).job
    writer.delete(whole.id)
    assert total(store) == PRICE
    writer.commit([told(other.id, cost_usd=0.01), ended(other.id)])
    assert total(store) == 10_000


def test_a_trial_of_our_own_that_takes_longer_is_ended_with_the_budget(store: Store) -> None:
    """One GPU at 6 USD an hour; an hour is set aside, and the sweep has an hour and a half."""
    writer = writer_of(store, gpu_hour=6.0, margin=1.0, default_hours=1.0)
    own: Mapping[str, Any] = {"config": {"accelerator": "gpu"}}
    body = parse_spec({**sweep(9.0), "backend": "ray", "config": {**sweep(9.0)["config"], "trial": own}})
    whole = create(writer, body.model_dump(mode="json")).job
    parsed: Any = body
    trial = create(writer, parsed.trial(1, {"config.learning_rate": 1e-4}).model_dump(mode="json"), parent_id=whole.id)
    writer.commit([EventFactory(trial.job.id).started(RUN, at=NOW)])

    def look(minutes: float) -> bool:
        at = NOW + timedelta(minutes=minutes)
        change = GoOn(
            job_id=trial.job.id, at=at, ahead=timedelta(minutes=1), step=timedelta(minutes=15), may_exceed=True
        )
        return writer.go_on(change)[0]

    assert [look(minutes) for minutes in (30, 60, 76, 80, 88.5)] == [False, True, True, True, True]
    assert total(store) == 9_000_000
    assert not store.reader.job(trial.job.id).state.cancel_requested
    assert look(89.5)
    state = store.reader.job(trial.job.id).state
    assert (state.cancel_requested, state.stop_reason) == (True, None)
    assert state.ended_early is not None
    assert "the budget of its sweep leaves" in state.ended_early
    writer.commit([ended(trial.job.id, "cancelled", after=timedelta(minutes=90)), ended(whole.id)])
    assert store.reader.job(trial.job.id).state.status is JobStatus.CANCELLED
    assert total(store) == 9_000_000


@pytest.mark.parametrize("each", [6, pytest.param(40, marks=pytest.mark.slow)])
def test_many_trials_at_once_from_several_writers_never_exceed(store: Store, each: int) -> None:
    """Four writers, as a replaced actor and the one before it would be."""
    catalogue = load_catalogue(Settings(catalogue=None))
    writers = [
        StoreWriter(open_engine(store.url, writer=True), money=Money(Tariff(), lambda: catalogue)) for _ in range(4)
    ]
    whole = started(writers[0], price_of() * 10.5)
    made: list[str] = []
    refused: list[str] = []

    def submit(writer: StoreWriter) -> None:
        for _ in range(each):
            try:
                made.append(create(writer, order(), parent_id=whole.id).job.id)
            except BudgetSpent as error:
                refused.append(error.code)

    threads = [threading.Thread(target=submit, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()
    assert (len(made), len(refused)) == (10, 4 * each - 10)
    assert total(store) == round(10.5 * PRICE)


_STEP = st.tuples(
    st.sampled_from(["create", "succeed", "told", "fail", "cancel", "delete"]), st.integers(0, 9), st.integers(1, 900)
)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEP, min_size=5, max_size=40))
def test_whatever_happens_a_sweep_and_its_trials_add_up_to_its_budget(
    store: Store, steps: list[tuple[str, int, int]]
) -> None:
    user, budget = uuid.uuid4().hex, 2_000_000  # each example has a user of its own
    writer = writer_of(store)
    whole = started(writer, budget / 1_000_000, user=user)
    waiting: list[tuple[str, int]] = []
    costs: list[int] = []
    for what, which, number in steps:
        if what == "create":
            price = round(price_of(number) * 1_000_000)
            try:
                new = create(writer, order(number), user=user, parent_id=whole.id)
                waiting.append((new.job.id, price))
            except BudgetSpent:
                assert sum(costs) + sum(reserved for _, reserved in waiting) + price > budget
        elif waiting:
            job_id, reserved = waiting.pop(which % len(waiting))
            cost = {"succeed": reserved, "told": reserved * which // 10}.get(what, 0)
            if what == "delete":
                writer.delete(job_id)
            else:
                facts = [told(job_id, cost_usd=cost / 1_000_000)] if what == "told" else []
                writer.commit([*facts, ended(job_id, {"fail": "failed", "cancel": "cancelled"}.get(what, "succeeded"))])
            costs.append(cost)
        assert total(store, user) == budget
    writer.commit([ended(whole.id)])
    assert total(store, user) == sum(costs) + sum(reserved for _, reserved in waiting) <= budget
