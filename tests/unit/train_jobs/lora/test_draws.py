"""What a step takes follows from the seed and its place, and from nothing else."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from train_jobs.lora.draws import Plan, draw, generator_for, normal
from train_jobs.lora.examples import Shot

SIZES = [(64, 64), (64, 128), (128, 64)]


def shots_of(counts: list[int]) -> list[Shot]:
    return [
        Shot(image=f"{size}-{number}", name="", caption="", size=SIZES[size], crops=3)
        for size, count in enumerate(counts)
        for number in range(count)
    ]


@given(
    counts=st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any),
    batch=st.integers(1, 5),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_an_epoch_shows_every_shot_and_mixes_no_sizes(counts: list[int], batch: int, repeats: int, seed: int) -> None:
    shots = shots_of(counts)
    plan = Plan(shots, batch=batch, repeats=repeats, seed=seed)
    for epoch in range(2):
        first = epoch * plan.batches_per_epoch
        batches = [plan.at(n) for n in range(first, first + plan.batches_per_epoch)]
        assert {plan.epoch_of(n) for n in range(first, first + plan.batches_per_epoch)} == {epoch + 1}
        assert all(len(one) == batch and len({shot.size for shot in one}) == 1 for one in batches)
        seen = Counter(shot.image for one in batches for shot in one)
        assert seen.keys() == {shot.image for shot in shots}
        assert min(seen.values()) >= repeats
        # A bucket is filled up to whole batches and no further.
        assert len(batches) == sum(-(-count * repeats // batch) for count in counts)
    # Any batch is known without those before it.
    last = 2 * plan.batches_per_epoch - 1
    assert Plan(shots, batch=batch, repeats=repeats, seed=seed).at(last) == plan.at(last)


def test_epochs_and_seeds_differ() -> None:
    shots = shots_of([30, 0, 0])
    one, other = (Plan(shots, batch=1, repeats=1, seed=seed) for seed in (0, 1))
    orders = [
        [plan.at(n)[0].image for n in range(start, start + 30)] for plan, start in [(one, 0), (one, 30), (other, 0)]
    ]
    assert len({tuple(order) for order in orders}) == 3


def test_a_sample_draws_the_same_whatever_else_is_drawn() -> None:
    shot = shots_of([1])[0]

    def drawn(n: int, place: int, *, seed: int = 1, flip: bool = True, dropout: float = 0.3) -> tuple[object, ...]:
        one = draw(shot, seed=seed, n=n, place=place, flip=flip, caption_dropout=dropout)
        return one.crop, one.is_flipped, one.is_caption_dropped, tuple(normal((3,), one.generator).tolist())

    assert drawn(5, 1) == drawn(5, 1)
    assert len({drawn(n, place, seed=seed) for n in range(3) for place in range(3) for seed in range(3)}) == 27
    # Switches leave the other numbers alone, so that runs can be compared.
    plain = drawn(5, 1, flip=False, dropout=0.0)
    assert plain[1:3] == (False, False)
    assert (plain[0], plain[3]) == (drawn(5, 1)[0], drawn(5, 1)[3])


def test_shares_are_what_they_are_said_to_be() -> None:
    shot = shots_of([1])[0]
    draws = [draw(shot, seed=0, n=n, place=0, flip=True, caption_dropout=0.2) for n in range(2000)]
    # Four standard deviations: 4 · sqrt(p (1 - p) / 2000)
    assert abs(sum(one.is_flipped for one in draws) / 2000 - 0.5) < 0.045
    assert abs(sum(one.is_caption_dropped for one in draws) / 2000 - 0.2) < 0.036
    assert all(abs(count / 2000 - 1 / 3) < 0.043 for count in Counter(one.crop for one in draws).values())
    always = draw(shot, seed=0, n=0, place=0, flip=False, caption_dropout=1.0)
    assert always.is_caption_dropped
    values = normal((4000,), generator_for(1, 2))
    assert abs(float(values.mean())) < 0.07
    assert abs(float(values.std()) - 1.0) < 0.05
    assert torch.equal(values, normal((4000,), generator_for(1, 2)))
