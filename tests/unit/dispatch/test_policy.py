from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.dispatch.make import NOW, decide, node, running, waiting
from thornback.backends.port import Node, Resources
from thornback.dispatch.order import Running, Waiting


def test_what_fits_starts_in_order() -> None:
    decision = decide([waiting("second", age=1), waiting("first", age=2), waiting("third", age=0)], [node(2)])

    assert decision.start == ("first", "second")
    assert decision.pending == {"third": "waiting for 1 CPU: 2 of 2 in use by 'first', 'second'"}
    assert decision.places["third"].position == 1


@pytest.mark.parametrize(
    ("job", "nodes", "message"),
    [
        (
            waiting("a", gpus=1, workers=2),
            [node(4)],
            "needs 2 workers with 1 CPU and 1 GPU each; the cluster has 0 GPUs",
        ),
        (
            waiting("a", gpus=1, workers=2),
            [node(4, 1)],
            "needs 2 workers with 1 CPU and 1 GPU each; the cluster has 1 GPU",
        ),
        (waiting("a", cpus=8), [node(4)], "needs 1 worker with 8 CPUs; the cluster has 4 CPUs"),
        (
            waiting("a", cpus=6),
            [node(4, id="a"), node(4, id="b")],
            "needs 1 worker with 6 CPUs, each on one node; the largest node has 4 CPUs",
        ),
        (
            waiting("a", workers=9, least=5),
            [node(4)],
            "needs at least 5 workers with 1 CPU each; the cluster has 4 CPUs",
        ),
        (
            waiting("a", gpus=1, cpus=8),
            [node(64, id="a"), node(4, 1, id="b")],
            "needs 1 worker with 8 CPUs and 1 GPU, each on one node; the largest node has 4 CPUs and 1 GPU",
        ),
    ],
)
def test_what_can_never_fit_is_impossible(job: Waiting, nodes: list[Node], message: str) -> None:
    decision = decide([job], nodes)

    assert decision.impossible == {"a": message}
    assert not decision.start
    assert not decision.places


def test_a_full_cluster_is_not_an_impossible_one() -> None:
    decision = decide([waiting("a", cpus=4)], [node(4, free=(0, 0))], busy=[running("x", cpus=4)])
    assert decision.pending == {"a": "waiting for 4 CPUs: 4 of 4 in use by 'x'"}


@pytest.mark.parametrize(
    ("job", "nodes", "busy", "reason"),
    [
        (
            waiting("a", gpus=1),
            [node(8, 2, free=(6, 0))],
            [running("radio", gpus=1), running("whales", gpus=1)],
            "waiting for 1 GPU: 2 of 2 in use by 'radio', 'whales'",
        ),
        (
            waiting("a", cpus=1),
            [node(6, free=(0, 0))],
            [running(f"job {n}") for n in range(6)],
            "waiting for 1 CPU: 6 of 6 in use by 'job 0', 'job 1', 'job 2', 3 more",
        ),
        (
            waiting("a", cpus=4),
            [node(4, free=(1, 0), ours=False)],
            [],
            "waiting for 4 CPUs: 3 of 4 in use by others than Thornback (3)",
        ),
        (
            waiting("a", cpus=2),
            [node(2, free=(1, 0), id="a"), node(2, free=(1, 0), id="b")],
            [running("x"), running("y")],
            "waiting for 1 worker with 2 CPUs: enough is free, but not together on one node",
        ),
    ],
)
def test_the_reason_names_what_is_missing_and_who_has_it(
    job: Waiting, nodes: list[Node], busy: list[Running], reason: str
) -> None:
    assert decide([job], nodes, busy=busy).pending == {"a": reason}


def test_a_started_job_that_has_not_taken_its_workers_yet_keeps_its_claim() -> None:
    decision = decide([waiting("a", cpus=2)], [node(4)], busy=[running("x", cpus=3, holds=False)])
    assert decision.pending == {"a": "waiting for 2 CPUs: 3 of 4 in use by 'x'"}


def test_an_elastic_job_starts_at_its_least_width() -> None:
    assert decide([waiting("a", workers=8, least=2)], [node(4, free=(2, 0))], busy=[running("x", cpus=2)]).start == (
        "a",
    )


def test_an_elastic_job_leaves_no_room_that_it_could_fill() -> None:
    decision = decide([waiting("wide", workers=8, least=2, age=2), waiting("small")], [node(4)])
    assert decision.start == ("wide",)
    assert "small" in decision.pending


def test_a_small_job_overtakes_where_it_cannot_delay_the_first() -> None:
    # The GPU job needs 1 of the CPUs beside its GPU; the other node is no use to it.
    nodes = [node(4, 1, free=(3, 0), id="gpu"), node(4, id="cpu")]
    decision = decide([waiting("gpu job", gpus=1, age=9), waiting("cpu job")], nodes, busy=[running("x", gpus=1)])

    assert decision.start == ("cpu job",)
    assert decision.pending == {"gpu job": "waiting for 1 GPU: 1 of 1 in use by 'x'"}


def test_a_small_job_does_not_take_what_the_first_waits_for() -> None:
    decision = decide(
        [waiting("big", cpus=4, age=9), waiting("small")], [node(4, free=(2, 0))], busy=[running("x", cpus=2)]
    )

    assert not decision.start
    assert decision.pending == {
        "big": "waiting for 4 CPUs: 2 of 4 in use by 'x'",
        "small": "waiting for 1 CPU behind jobs that come first",
    }
    assert [decision.places[name].position for name in ("big", "small")] == [1, 2]


def test_a_small_job_does_not_overtake_where_ray_might_put_it_in_the_way() -> None:
    # `big` waits for 3 CPUs on each node. One CPU of node b is spare, but Ray could choose node a.
    nodes = [node(4, free=(1, 0), id="a"), node(4, free=(4, 0), id="b")]
    decision = decide([waiting("big", cpus=3, workers=2, age=9), waiting("small")], nodes, busy=[running("x", cpus=3)])
    assert not decision.start


def test_what_others_hold_for_good_is_not_waited_for_by_those_behind() -> None:
    # `big` can only run when the strangers leave; until then small jobs use what there is.
    decision = decide([waiting("big", cpus=4, age=9), waiting("small")], [node(4, free=(2, 0), ours=False)])
    assert decision.start == ("small",)


def test_no_more_run_than_the_settings_allow() -> None:
    decision = decide([waiting("a", age=2), waiting("b")], [node(8, free=(7, 0))], busy=[running("x")], max_running=2)
    assert decision.start == ("a",)
    assert decision.pending == {"b": "waiting for one of 2 running jobs to end (THORNBACK_MAX_RUNNING_JOBS)"}


def test_a_job_rests_after_a_refused_submission() -> None:
    resting = waiting("a", age=9, not_before=NOW + timedelta(seconds=2))
    rested = waiting("b", not_before=NOW - timedelta(seconds=2))

    decision = decide([resting, rested], [node(1)])

    assert decision.start == ("b",)
    assert decision.pending == {"a": "the last attempt to start it failed; it is tried again in a moment"}


def test_a_job_that_fitted_before_waits_for_lost_nodes() -> None:
    decision = decide([waiting("a", workers=2, gpus=1, fitted_before=True)], [node(4, 1)])
    assert decision.pending == {
        "a": "waiting for nodes to come back: needs 2 workers with 1 CPU and 1 GPU each; "
        "the cluster has 4 CPUs and 1 GPU"
    }


def test_nothing_is_impossible_while_there_are_no_nodes() -> None:
    assert decide([waiting("a")], []).pending == {
        "a": "waiting for nodes to come back: needs 1 worker with 1 CPU; the cluster has no CPU"
    }


class TestGrowth:
    """A cluster that can grow to 16 CPUs and 4 GPUs."""

    LIMIT = Resources(16, 4)

    def test_what_fits_the_grown_cluster_is_asked_for(self) -> None:
        decision = decide([waiting("a", gpus=1, workers=2)], [node(4)], growth=self.LIMIT)

        assert decision.pending == {"a": "waiting for the cluster to grow: needs 2 workers with 1 CPU and 1 GPU each"}
        assert decision.wanted == (Resources(1, 1), Resources(1, 1))

    def test_what_runs_is_asked_for_as_well(self) -> None:
        decision = decide(
            [waiting("a", cpus=4)], [node(4, free=(0, 0))], busy=[running("x", cpus=2, workers=2)], growth=self.LIMIT
        )
        assert decision.wanted == (Resources(2), Resources(2), Resources(4))

    def test_nothing_is_asked_for_where_all_fits(self) -> None:
        assert decide([waiting("a")], [node(4)], growth=self.LIMIT).wanted == ()

    def test_no_more_is_asked_for_than_the_limit(self) -> None:
        jobs = [waiting(f"job {n}", cpus=8, age=9 - n) for n in range(3)]
        assert decide(jobs, [node(4)], growth=self.LIMIT).wanted == (Resources(8), Resources(8))

    def test_beyond_the_limit_is_impossible(self) -> None:
        decision = decide([waiting("a", gpus=1, workers=5)], [node(4)], growth=self.LIMIT)
        assert decision.impossible == {"a": "needs 5 workers with 1 CPU and 1 GPU each; the cluster can grow to 4 GPUs"}


def test_a_job_without_cores_starts_on_a_full_cluster_and_holds_nobody_up() -> None:
    pipeline = waiting("pipeline", cpus=0, age=2)
    decision = decide([pipeline, waiting("big", cpus=4, age=3), waiting("small")], [node(4, free=(0, 0))])

    assert decision.start == ("pipeline",)
    assert set(decision.pending) == {"big", "small"}


def test_jobs_without_cores_have_a_bound_of_their_own() -> None:
    pipelines = [waiting("p1", cpus=0, age=3), waiting("p2", cpus=0, age=2)]
    busy = [running("p0", cpus=0, holds=False)]
    decision = decide([*pipelines, waiting("training")], [node(4)], busy=busy, max_running=1, max_light=2)

    assert decision.start == ("p1", "training")  # as many pipelines as may, and their trainings beside them
    assert decision.pending == {"p2": "waiting for one of 2 running pipelines to end (THORNBACK_MAX_PIPELINES)"}


def test_nobody_asks_a_cluster_to_grow_for_jobs_without_cores() -> None:
    busy = [running("p0", cpus=0, holds=False)]
    decision = decide(
        [waiting("p1", cpus=0, age=2), waiting("training", cpus=2)],
        [node(1)],
        busy=busy,
        growth=Resources(8, 0),
    )

    assert decision.start == ("p1",)
    assert decision.wanted == (Resources(2, 0),)
