"""Clips to listen to: which ones, as sound and as picture, from one run to its folder."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.unit.train_jobs.helpers import RATE, TINY, make_tones, run, small_config
from thornback.datasets.clips import Clip
from thornback.jobs.events import Attempt
from train_jobs.convnext.data import ClipDataset, Ticket
from train_jobs.convnext.examples import INDEX, MOST, MOST_WRONG, chosen, example_files, sound, spectrogram
from train_jobs.convnext.frontend import LogMel
from train_jobs.convnext.hearing import Heard, spread
from train_jobs.convnext.loop import Outcome, Training
from train_jobs.convnext.model import build_backbone
from train_jobs.convnext.plan import RunFolder, RunPlan
from train_jobs.convnext.publish import publish


def one(clip: int, truth: int, predicted: int, probability: float = 0.5) -> Heard:
    return Heard(clip=clip, truth=truth, predicted=predicted, probability=probability, truth_probability=0.1)


def test_the_surest_mistakes_come_first_then_each_class_in_turn() -> None:
    heard = [one(0, 0, 0, 0.9), one(1, 0, 0, 0.99), one(2, 1, 1, 0.4), one(3, 0, 1, 0.6), one(4, 1, 0, 0.8)]
    assert [item.clip for item in chosen(heard)] == [4, 3, 1, 2, 0]
    many = [one(number, 0, number % 2, 1 - number / 1000) for number in range(200)]
    found = chosen(many)
    assert (len(found), sum(not item.is_right for item in found)) == (MOST, MOST_WRONG)
    assert len(chosen([one(number, number % 3, number % 3) for number in range(200)])) == MOST - MOST_WRONG
    assert chosen([]) == []


@pytest.mark.parametrize(("clips", "most", "count"), [(0, 5, 0), (3, 5, 3), (10, 5, 5), (11, 5, 4), (1000, 512, 500)])
def test_clips_are_heard_evenly_over_the_split(clips: int, most: int, count: int) -> None:
    found = spread(range(7, 7 + clips), most)
    assert len(found) == count
    assert set(found) <= set(range(7, 7 + clips))


@pytest.mark.parametrize(("rate", "played"), [(RATE, RATE), (1000, 3000), (48_000, 48_000)])
def test_sound_is_loud_and_plays_at_any_rate(rate: int, played: int) -> None:
    wave = (0.001 * np.sin(np.arange(rate) / 5)).astype(np.float32)
    read, found = soundfile.read(io.BytesIO(sound(wave, rate)))
    assert (found, len(read) / found) == (played, 1.0)
    assert np.abs(read).max() == pytest.approx(0.9, abs=0.01)
    silent, _ = soundfile.read(io.BytesIO(sound(np.zeros(rate, np.float32), rate)))
    assert not silent.any()


def test_a_tone_is_a_light_line_at_its_height() -> None:
    frontend = LogMel(small_config("x"))
    rows = []
    for hertz in (300, 1400):
        wave = np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE).astype(np.float32)
        picture = Image.open(io.BytesIO(spectrogram(frontend, wave))).convert("L")
        assert picture.size == (126, 32)
        rows.append(int(np.asarray(picture, dtype=np.float64).mean(axis=1).argmax()))
    assert rows[0] > 16 > rows[1]  # the low one is below
    assert Image.open(io.BytesIO(spectrogram(frontend, np.zeros(10, np.float32)))).height == 32


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Outcome, Path]:
    folder = tmp_path_factory.mktemp("run")
    data = make_tones(tmp_path_factory.mktemp("tones"))
    training, outcome = run(small_config(data, epochs=2), folder / "train")
    return training, outcome, folder


def test_a_run_hears_its_validation_clips_with_its_best_weights(finished: tuple[Training, Outcome, Path]) -> None:
    training, outcome, _ = finished
    assert [item.clip for item in outcome.heard] == list(training.val_range)
    clips = [*training.dataset.train, *training.dataset.val]
    assert [training.dataset.classes[item.truth] for item in outcome.heard] == [
        clips[item.clip].label for item in outcome.heard
    ]
    assert outcome.best
    assert training.best is not None
    right = sum(outcome.best.confusion[number][number] for number in range(3))  # of the best epoch
    assert sum(item.is_right for item in outcome.heard) == right
    backbone = build_backbone(training.config, 3, model_kwargs=TINY)
    backbone.load_state_dict(training.best)
    first, root = outcome.heard[0], training.dataset.root
    wave, *_ = ClipDataset(root, clips, training.dataset.classes, training.config)[Ticket(first.clip)]
    with torch.inference_mode():
        found = backbone.eval()(LogMel(training.config)(torch.from_numpy(wave)[None])).softmax(dim=1)[0]
    assert float(found[first.predicted]) == pytest.approx(first.probability, abs=1e-5)
    assert int(found.argmax()) == first.predicted


def test_the_files_say_what_was_taken_for_what(finished: tuple[Training, Outcome, Path]) -> None:
    training, outcome, _ = finished
    dataset = training.dataset
    clips: list[Clip] = [*dataset.train, *dataset.val]
    heard = [replace(item, predicted=(item.truth + 1) % 3) for item in outcome.heard[:1]] + list(outcome.heard[1:])
    files = dict(example_files(heard, clips, dataset.classes, dataset.root, training.config))
    about = json.loads(files[INDEX])
    assert (about["heard"], about["highest_hz"]) == (len(heard), RATE / 2)
    first = about["examples"][0]
    assert (first["right"], first["label"]) == (False, clips[heard[0].clip].label)
    assert first["prediction"] != first["label"]
    for example in about["examples"]:
        wave, rate = soundfile.read(io.BytesIO(files[f"{example['id']}.wav"]))
        assert (rate, len(wave) / rate) == (RATE, example["seconds"])
        assert Image.open(io.BytesIO(files[f"{example['id']}.png"])).size == (32, 32)
    assert list(files)[-1] == INDEX

    gone = [Clip(path="nowhere.wav", label=clip.label) for clip in clips]
    assert (
        json.loads(dict(example_files(heard, gone, dataset.classes, dataset.root, training.config))[INDEX])["examples"]
        == []
    )


def test_they_are_published_as_one_folder(finished: tuple[Training, Outcome, Path]) -> None:
    training, outcome, folder = finished
    plan = RunPlan(
        job_id=None,
        config=training.config,
        folder=RunFolder(uri=str(folder)),
        attempt=Attempt(),
        namespace="test",
        on_gpu=False,
        model_kwargs=TINY,
    )
    published = publish(plan, training.dataset, outcome)
    (artifact,) = [item for item in published["artifacts"] if item["type"] == "examples"]
    files = {path.name: path.stat().st_size for path in (folder / "examples").iterdir()}
    assert (artifact["uri"], artifact["size_bytes"]) == (str(folder / "examples"), sum(files.values()))
    count = len(json.loads((folder / "examples" / INDEX).read_bytes())["examples"])
    assert (len(files), count > 0) == (2 * count + 1, True)
    nothing = publish(plan, training.dataset, replace(outcome, heard=()))
    assert [item for item in nothing["artifacts"] if item["type"] == "examples"] == []
