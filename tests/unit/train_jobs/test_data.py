from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.unit.train_jobs.helpers import small_config
from thornback.datasets import open_dataset
from train_jobs.convnext.data import (
    CENTRE,
    NOTHING,
    ClipDataset,
    Loader,
    Ticket,
    eval_batches,
    fit_length,
    train_batches,
)

CONFIG = small_config("x", batch_size=4)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("clips", [1, 4, 19, 24])
def test_an_epoch_sees_every_clip_once(clips: int, world_size: int) -> None:
    plans = [train_batches(clips, CONFIG, epoch=1, done=0, seat=r, seats=world_size) for r in range(world_size)]
    assert len({len(plan) for plan in plans}) == 1  # every worker takes the same number of steps
    assert all(batch for plan in plans for batch in plan)
    seen = Counter(ticket.clip for plan in plans for batch in plan for ticket in batch if ticket.clip != NOTHING)
    assert seen == Counter(range(clips))


def test_the_rest_of_an_epoch_is_its_end() -> None:
    whole = train_batches(22, CONFIG, epoch=3, done=0, seat=1, seats=2)
    assert train_batches(22, CONFIG, epoch=3, done=8, seat=1, seats=2) == whole[1:]
    assert train_batches(22, CONFIG, epoch=3, done=22, seat=1, seats=2) == []


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    first = train_batches(22, CONFIG, epoch=1, done=0, seat=0, seats=1)
    assert first == train_batches(22, CONFIG, epoch=1, done=0, seat=0, seats=1)
    assert first != train_batches(22, CONFIG, epoch=2, done=0, seat=0, seats=1)
    assert first != train_batches(22, small_config("x", seed=1), epoch=1, done=0, seat=0, seats=1)


def test_a_compiled_network_gets_batches_of_one_size() -> None:
    plan = train_batches(9, CONFIG, epoch=1, done=0, seat=1, seats=2, fill=True)
    assert [len(batch) for batch in plan] == [4, 4]
    assert sum(ticket.clip == NOTHING for batch in plan for ticket in batch) == 4


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_judging_sees_every_clip_once_without_filling(world_size: int) -> None:
    plans = [eval_batches(range(10, 21), CONFIG, rank=rank, world_size=world_size) for rank in range(world_size)]
    seen = sorted(ticket.clip for plan in plans for batch in plan for ticket in batch)
    assert seen == list(range(10, 21))
    assert all(ticket.crop == CENTRE for plan in plans for batch in plan for ticket in batch)


def test_length_is_cut_in_the_middle_or_by_seed_or_padded() -> None:
    wave = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(fit_length(wave, 4, CENTRE), [3, 4, 5, 6])
    np.testing.assert_array_equal(fit_length(wave, 12, CENTRE), [*range(10), 0, 0])
    starts = {int(fit_length(wave, 4, seed)[0]) for seed in range(100)}
    assert starts == set(range(7))
    np.testing.assert_array_equal(fit_length(wave, 4, 5), fit_length(wave, 4, 5))


@pytest.mark.parametrize("processes", [0, 2])
def test_batches_come_in_order_whoever_decodes_them(tones: Path, processes: int) -> None:
    dataset = open_dataset(str(tones), small_config(tones))
    source = ClipDataset(dataset.root, dataset.train, dataset.classes, small_config(tones))
    loader = Loader(source, processes=processes, pin_memory=False)
    plan = [[Ticket(0, 1), Ticket(5, 2)], [Ticket(NOTHING)], [Ticket(3, 3)]]
    first, second, third = loader.load(plan)
    assert first.wave.shape == (2, 2000)
    assert first.label.tolist() == [dataset.classes.index(dataset.train[index].label) for index in (0, 5)]
    assert (second.weight.tolist(), second.wave.abs().sum().item()) == ([0.0], 0.0)
    wave, *_ = source[Ticket(3, 3)]
    np.testing.assert_array_equal(third.wave[0].numpy(), wave)
    again = next(loader.load(plan[2:]))
    np.testing.assert_array_equal(again.wave[0].numpy(), wave)


def test_a_file_that_broke_since_the_check_weighs_nothing(tmp_path: Path, tones: Path) -> None:
    dataset = open_dataset(str(tones), small_config(tones))
    source = ClipDataset(str(tmp_path), dataset.train, dataset.classes, small_config(tones))
    batch = next(Loader(source, processes=0, pin_memory=False).load([[Ticket(0), Ticket(NOTHING)]]))
    assert batch.weight.tolist() == [0.0, 0.0]
    assert batch.broken == ((dataset.train[0].path, "there is no such file"),)
