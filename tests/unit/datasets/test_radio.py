from __future__ import annotations

import csv
import filecmp
from pathlib import Path

import numpy as np
import pytest
import soundfile

from thornback.datasets import check
from thornback.datasets.radio import SECONDS, demo_config, make_radio_dataset, received
from thornback.datasets.radio_signals import SAMPLE_RATE, SIGNALS
from thornback.jobs.convnext import TrainingConfig


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    first = make_radio_dataset(tmp_path / "a", clips=16, seed=3)
    second = make_radio_dataset(tmp_path / "b", clips=16, seed=3)
    other = make_radio_dataset(tmp_path / "c", clips=16, seed=4)
    assert first.read_text() == second.read_text() != other.read_text()
    for file in (tmp_path / "a").rglob("*.wav"):
        assert filecmp.cmp(file, tmp_path / "b" / file.relative_to(tmp_path / "a"), shallow=False)


def test_both_filters_matter(tmp_path: Path) -> None:
    manifest = make_radio_dataset(tmp_path, clips=160, seed=0)
    config = TrainingConfig.model_validate(demo_config(manifest))
    report = check(config.data, config)
    assert set(report.classes) == set(SIGNALS)
    assert report.dropped["min_snr_db"] > 20
    assert report.dropped["only_approved"] > 3
    with manifest.open() as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows if row["label"] != row["path"].split("/")[0]]
    assert wrong
    assert all(row["approved"] == "false" for row in wrong)  # what is approved is labelled rightly


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_are_finite_and_have_the_promised_snr(name: str, tmp_path: Path) -> None:
    clean = received(name, snr_db=200.0, rng=np.random.default_rng(1)).astype(np.float64)
    noisy = received(name, snr_db=10.0, rng=np.random.default_rng(1)).astype(np.float64)
    assert len(clean) == int(SECONDS * SAMPLE_RATE)
    assert np.isfinite(clean).all()
    assert np.abs(clean).max() < 1
    # the same draws, so the noisy clip is a multiple of the clean one plus noise of a tenth of its power
    scale = noisy @ clean / (clean @ clean)
    noise = noisy - scale * clean
    snr_db = 10 * np.log10(np.mean((scale * clean) ** 2) / np.mean(noise**2))
    assert snr_db == pytest.approx(10.0, abs=0.5)


def test_files_are_audio_of_the_promised_length(tmp_path: Path) -> None:
    make_radio_dataset(tmp_path, clips=8, seed=0)
    for file in tmp_path.rglob("*.wav"):
        info = soundfile.info(file)
        assert (info.samplerate, info.duration, info.channels) == (SAMPLE_RATE, SECONDS, 1)
