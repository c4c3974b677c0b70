"""What holds for every decision, and for every sequence of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dispatch.make import NOW, decide, node, running, waiting
from thornback.backends.port import Node, Resources
from thornback.dispatch.order import Running, Waiting, in_order
from thornback.dispatch.policy import Decision, Limits, choose

widths = st.integers(1, 3)


@st.composite
def jobs(draw: st.DrawFn) -> list[Waiting]:
    found = []
    for index in range(draw(st.integers(0, 6))):
        workers = draw(widths)
        found.append(
            waiting(
                f"job {index}",
                cpus=float(draw(st.integers(1, 3))),
                gpus=float(draw(st.integers(0, 1))),
                workers=workers,
                least=draw(st.integers(1, workers)),
                user=draw(st.sampled_from(["ada", "grace"])),
                priority=draw(st.integers(0, 1)),
                age=draw(st.integers(0, 5)),
            )
        )
    return found


@st.composite
def clusters(draw: st.DrawFn) -> list[Node]:
    found = []
    for index in range(draw(st.integers(1, 3))):
        cpus, gpus = draw(st.integers(1, 4)), draw(st.integers(0, 2))
        free = (float(draw(st.integers(0, cpus))), float(draw(st.integers(0, gpus))))
        found.append(node(cpus, gpus, free=free, ours=draw(st.booleans()), id=f"node {index}"))
    return found


busy_jobs = st.lists(
    st.builds(
        running,
        job_id=st.uuids().map(str),
        cpus=st.integers(1, 2).map(float),
        workers=st.integers(1, 2),
        holds=st.booleans(),
    ),
    max_size=2,
)


def packs(bundles: Sequence[Resources], free: Sequence[Resources]) -> bool:
    """By trying everything: can the bundles be put on the nodes?"""
    if not bundles:
        return True
    first, rest = bundles[0], bundles[1:]
    return any(
        packs(rest, [*free[:index], left - first, *free[index + 1 :]])
        for index, left in enumerate(free)
        if left.cpus >= first.cpus and left.gpus >= first.gpus
    )


@settings(deadline=None)
@given(jobs(), clusters(), busy_jobs, st.integers(1, 4))
def test_what_is_started_fits_together(
    waiting_jobs: list[Waiting], nodes: list[Node], busy: list[Running], max_running: int
) -> None:
    decision = decide(waiting_jobs, nodes, busy=busy, max_running=max_running)

    started = [job for job in waiting_jobs if job.job_id in decision.start]
    bundles = [job.bundle for job in started for _ in range(job.request.min_workers)]
    assert packs(sorted(bundles, key=lambda each: (-each.gpus, -each.cpus)), [each.free for each in nodes])
    assert not started or len(started) + len(busy) <= max_running


@settings(deadline=None)
@given(jobs(), clusters(), busy_jobs)
def test_what_was_started_before_keeps_its_claim(
    waiting_jobs: list[Waiting], nodes: list[Node], busy: list[Running]
) -> None:
    decision = decide(waiting_jobs, nodes, busy=busy)

    started = [job for job in waiting_jobs if job.job_id in decision.start]
    claims = [job for job in busy if not job.holds]
    free = sum((each.free for each in nodes), Resources())
    wants = sum((job.least for job in started), sum((job.uses for job in claims), Resources()))
    # Claims that do not fit themselves are not our doing: nodes have been lost.
    if packs([job.bundle for job in claims for _ in range(job.workers)], [each.free for each in nodes]):
        assert wants.cpus <= free.cpus
        assert wants.gpus <= free.gpus


@settings(deadline=None)
@given(jobs(), clusters(), busy_jobs)
def test_each_job_is_started_or_impossible_or_has_a_place(
    waiting_jobs: list[Waiting], nodes: list[Node], busy: list[Running]
) -> None:
    decision = decide(waiting_jobs, nodes, busy=busy)

    groups = [*decision.start, *decision.impossible, *decision.pending]
    assert sorted(groups) == sorted(job.job_id for job in waiting_jobs)
    assert [place.position for place in decision.places.values()] == list(range(1, len(decision.pending) + 1))
    assert decision.places.keys() == decision.pending.keys()


@settings(deadline=None)
@given(jobs(), clusters(), busy_jobs, st.randoms(use_true_random=False))
def test_the_order_of_the_arguments_does_not_matter(
    waiting_jobs: list[Waiting], nodes: list[Node], busy: list[Running], random: Random
) -> None:
    decision = decide(waiting_jobs, nodes, busy=busy)
    again = decide(
        random.sample(waiting_jobs, len(waiting_jobs)),
        random.sample(nodes, len(nodes)),
        busy=random.sample(busy, len(busy)),
    )
    assert again == decision


@settings(deadline=None)
@given(jobs(), clusters())
def test_the_first_in_line_starts_where_it_fits(waiting_jobs: list[Waiting], nodes: list[Node]) -> None:
    total = sum((each.total for each in nodes), Resources())
    decision = decide(waiting_jobs, nodes)
    for job in in_order(waiting_jobs, [], now=NOW, total=total, granted={}):
        if job.job_id in decision.impossible:
            continue
        if packs([job.bundle] * job.request.min_workers, [each.free for each in nodes]):
            assert decision.start[:1] == (job.job_id,)
        break


@settings(deadline=None)
@given(jobs(), clusters(), busy_jobs)
def test_nobody_overtakes_a_job_that_asks_for_the_same(
    waiting_jobs: list[Waiting], nodes: list[Node], busy: list[Running]
) -> None:
    total = sum((each.total for each in nodes), Resources())
    decision = decide(waiting_jobs, nodes, busy=busy)
    passed_over: set[object] = set()
    for job in in_order(waiting_jobs, busy, now=NOW, total=total, granted={}):
        asks_for = (job.bundle, job.request.min_workers)
        if job.job_id in decision.pending:
            passed_over.add(asks_for)
        elif job.job_id in decision.start:
            assert asks_for not in passed_over


class Cluster:
    """Jobs run in it for some steps. Like Ray it puts workers where it likes, and lets them wait if they do not fit."""

    def __init__(self, totals: Sequence[Resources], random: Random) -> None:
        self.totals = list(totals)
        self.free = list(totals)
        self.random = random
        self.queue: dict[str, Waiting] = {}
        self.started: dict[str, Waiting] = {}  # without workers yet
        self.running: dict[str, tuple[Waiting, dict[int, Resources], int]] = {}
        self.granted: dict[str, datetime] = {}
        self.step = 0

    def advance(self, lasts: int) -> None:
        """End what is due, then decide and start."""
        self.step += 1
        for job_id, (_, taken, ends) in list(self.running.items()):
            if ends <= self.step:
                for index, amount in taken.items():
                    self.free[index] += amount
                del self.running[job_id]
        for job_id in self._decide().start:
            job = self.started[job_id] = self.queue.pop(job_id)
            self.granted[job.user] = NOW + timedelta(minutes=self.step)
        for job in list(self.started.values()):
            placed = self._put(job)
            if placed is not None:
                self.running[job.job_id] = (job, placed, self.step + lasts)
                del self.started[job.job_id]

    def _decide(self) -> Decision:
        nodes = [
            Node(id=f"node {index}", total=total, free=free, held=total - free)
            for index, (total, free) in enumerate(zip(self.totals, self.free, strict=True))
        ]
        busy = [self._busy(job, holds=True) for job, _, _ in self.running.values()]
        busy += [self._busy(job, holds=False) for job in self.started.values()]
        return choose(
            now=NOW + timedelta(minutes=self.step),
            waiting=list(self.queue.values()),
            running=busy,
            nodes=nodes,
            limits=Limits(max_running=100),
            granted=self.granted,
        )

    def _busy(self, job: Waiting, *, holds: bool) -> Running:
        workers = job.request.workers
        return Running(job_id=job.job_id, name=job.name, user=job.user, bundle=job.bundle, workers=workers, holds=holds)

    def _put(self, job: Waiting) -> dict[int, Resources] | None:
        free = list(self.free)
        taken: dict[int, Resources] = {}
        for _ in range(job.request.workers):
            fitting = [index for index, left in enumerate(free) if left.cpus >= job.bundle.cpus]
            if not fitting:
                return None
            index = self.random.choice(fitting)
            free[index] -= job.bundle
            taken[index] = taken.get(index, Resources()) + job.bundle
        self.free = free
        return taken


@settings(deadline=None, max_examples=150)
@given(
    nodes=st.integers(1, 3),
    big_cpus=st.integers(2, 4),
    everywhere=st.booleans(),
    lasts=st.integers(1, 4),
    stream_users=st.sampled_from(["ada", "grace", "new"]),
    per_step=st.integers(1, 4),
    random=st.randoms(use_true_random=False),
)
def test_a_big_job_is_not_overtaken_for_ever(
    nodes: int, big_cpus: int, everywhere: bool, lasts: int, stream_users: str, per_step: int, random: Random
) -> None:
    """Small jobs come without end, of its own user, of another, or of a new user each time."""
    cluster = Cluster([Resources(4.0)] * nodes, random)
    ids = count()

    def stream() -> None:
        for _ in range(per_step):
            number = next(ids)
            user = f"user {number}" if stream_users == "new" else stream_users
            job = waiting(f"small {number:05}", user=user, age=-cluster.step)
            cluster.queue[job.job_id] = job

    for _ in range(5):
        stream()
        cluster.advance(lasts)
    workers = nodes if everywhere else 1
    cluster.queue["big"] = waiting("big", cpus=float(big_cpus), workers=workers, age=-cluster.step)
    # Those before it in line may each run once, one after the other, and then what runs may end.
    last_step = cluster.step + lasts * (len(cluster.queue) + len(cluster.started) + 2)
    while "big" in cluster.queue and cluster.step <= last_step:
        stream()
        cluster.advance(lasts)

    assert "big" not in cluster.queue
