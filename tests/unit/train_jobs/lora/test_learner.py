"""Every switch of the data and of the optimizer does what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.unit.train_jobs.lora.bench_of_one import CAPTIONS, EXAMPLES, SIZE, config_of, run, shot
from tests.unit.train_jobs.lora.test_families import CPU, base_of
from thornback.errors import InvalidInput
from train_jobs.common.group import Group
from train_jobs.lora import components
from train_jobs.lora.draws import Draw, generator_for
from train_jobs.lora.examples import Latents, Shot
from train_jobs.lora.families.base import Frame
from train_jobs.lora.families.objective import Noised, weighted_loss
from train_jobs.lora.learner import Batch, Learner
from train_jobs.lora.optimizers import make_optimizer
from train_jobs.lora.validation import validate

GRID = torch.arange(64.0).view(1, 8, 8).repeat(4, 1, 1) / 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    base_of(folder, "flux1")
    return folder


class Exact:
    """Latents without spread: a grid, of which the left half is masked out where there is a mask."""

    statistics: Mapping[str, Any] = {"shift": 0.0, "scale": 1.0}

    def __init__(self, texts: Any, *, mask: bool = False) -> None:
        self.text = texts
        self._mask = (torch.arange(8) >= 4).float().expand(1, 8, 8) if mask else None

    def latents(self, shot: Shot, crop: int) -> Latents:
        frame = Frame(original=(SIZE, SIZE), crop=(0, 0), target=(SIZE, SIZE))
        return Latents(mean=GRID + crop, std=torch.zeros_like(GRID), frame=frame, mask=self._mask)


@pytest.fixture(scope="module")
def texts(folder: Path) -> Any:
    base = base_of(folder, "flux1")
    pipe = components.load_text_pipeline(base, device=CPU, dtype=torch.float32)
    with torch.no_grad():
        encoded = base.model_family.encode_text(pipe, ["", *CAPTIONS])
    return dict(zip(["", *CAPTIONS], encoded, strict=True)).__getitem__


def make(folder: Path, **config: Any) -> Learner:
    base = base_of(folder, "flux1")
    denoiser, scheduler = components.load_denoiser(base, device=CPU, dtype=torch.float32)
    return Learner(config_of(**config), base.model_family, denoiser, scheduler, Group(), autocast=None)


@pytest.fixture(scope="module")
def learner(folder: Path) -> Learner:
    return make(folder)


def drawn(*, crop: int = 0, flipped: bool = False, dropped: bool = False) -> Draw:
    return Draw(crop=crop, is_flipped=flipped, is_caption_dropped=dropped, generator=generator_for(7))


def clean(batch: Batch) -> Tensor:
    """x of x + t (n - x)."""
    return batch.noised.noisy - batch.noised.times.view(-1, 1, 1, 1) * batch.noised.target


def test_flips_crops_and_dropped_captions_reach_the_batch(learner: Learner, texts: Any) -> None:
    draws = [drawn(), drawn(flipped=True), drawn(crop=2), drawn(dropped=True)]
    batch = learner.batch([shot(1)] * 4, draws, Exact(texts, mask=True))
    expected = torch.stack([GRID, GRID.flip(-1), GRID + 2, GRID])
    assert torch.allclose(clean(batch), expected, atol=1e-5)
    noise = batch.noised.target + clean(batch)
    assert torch.allclose(noise[0], noise[1], atol=1e-5)
    assert batch.mask is not None
    assert batch.mask[0, 0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert batch.mask[1, 0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    embeds = batch.conditioning["prompt_embeds"]
    assert torch.equal(embeds[0], texts(CAPTIONS[0])["prompt_embeds"])
    assert torch.equal(embeds[3], texts("")["prompt_embeds"])


def test_only_what_the_mask_shows_counts_and_as_much_as_a_whole_picture() -> None:
    target = torch.zeros(1, 4, 8, 8)
    noised = Noised(noisy=target, times=torch.ones(1), target=target, weight=torch.ones(1))
    mask = (torch.arange(8) >= 4).float().expand(1, 1, 8, 8)
    hidden = torch.zeros(1, 4, 8, 8)
    hidden[..., :4] = 100.0
    assert weighted_loss(hidden, noised, mask).item() == 0.0
    assert weighted_loss(torch.ones(1, 4, 8, 8), noised, mask).item() == 1.0
    assert weighted_loss(hidden, noised, torch.zeros(1, 1, 8, 8)).item() == 0.0


def test_images_with_and_without_masks_share_a_batch(learner: Learner, texts: Any) -> None:
    class Some(Exact):
        def latents(self, shot: Shot, crop: int) -> Latents:
            kept = super().latents(shot, crop)
            return kept if crop else replace(kept, mask=None)

    batch = learner.batch([shot(1)] * 2, [drawn(), drawn(crop=1)], Some(texts, mask=True))
    assert batch.mask is not None
    assert batch.mask.mean(dim=(1, 2, 3)).tolist() == [1.0, 0.5]


def test_the_weight_of_an_image_is_of_its_loss_and_gradient(folder: Path, texts: Any) -> None:
    found = []
    for weight in (1.0, 0.25):
        one = make(folder, gradient_clip_norm=0.0)
        batch = one.batch([replace(shot(1), weight=weight)], [drawn()], Exact(texts))
        found.append([float(value) for value in one.step([batch], share=1.0, learning_rate=0.0)])
    assert found[1] == pytest.approx([0.25 * value for value in found[0]], rel=1e-5)


def test_the_average_follows_by_its_decay(folder: Path, texts: Any) -> None:
    one = make(folder, ema_decay=0.9)
    expected = one.weights()
    for number in range(3):
        one.step([one.batch([shot(number)], [drawn()], Exact(texts))], share=1.0, learning_rate=0.05)
        expected = {name: 0.9 * expected[name] + 0.1 * new for name, new in one.weights().items()}
    assert all(torch.allclose(one.averaged[name], value, atol=1e-6) for name, value in expected.items())
    with one.showing_average():
        shown = one.weights()
    assert all(torch.equal(shown[name], value) for name, value in one.best_weights().items())
    assert any(not torch.equal(shown[name], value) for name, value in one.weights().items())


def test_accumulation_is_the_mean_of_its_batches(folder: Path, texts: Any) -> None:
    both, apart = make(folder), make(folder)
    shots, draws, encoded = [shot(1), shot(2)], [drawn(), drawn(flipped=True)], Exact(texts)
    together = both.step([both.batch(shots, draws, encoded)], share=1.0, learning_rate=0.01)
    draws = [drawn(), drawn(flipped=True)]
    batches = [apart.batch([one], [how], encoded) for one, how in zip(shots, draws, strict=True)]
    assert [float(value) for value in apart.step(batches, share=1 / len(batches), learning_rate=0.01)] == pytest.approx(
        [float(value) for value in together], rel=1e-4
    )


def test_validation_asks_the_same_each_time(learner: Learner, folder: Path) -> None:
    training, _, _, _ = run(folder, "flux1", config_of(steps=1))
    first, second = (validate(training.learner, EXAMPLES.train, training.encoded, Group()) for _ in range(2))
    assert first == second
    # Parts of any two workers add up to it; each also walks as often as the other.
    assert validate(training.learner, EXAMPLES.train[:1], training.encoded, Group()) != first


def test_a_run_goes_on_from_another_with_or_without_an_average(folder: Path) -> None:
    plain = run(folder, "flux1", config_of(steps=2))[1].saved["step-00000002"]
    averaging = run(folder, "flux1", config_of(steps=2, ema_decay=0.5))[1].saved["step-00000002"]
    with_average = make(folder, ema_decay=0.5)
    with_average.restore(plain.weights, plain.averaged, plain.optimizer)
    assert all(torch.equal(with_average.averaged[name], one) for name, one in plain.weights.items())
    without = make(folder)
    without.restore(averaging.weights, averaging.averaged, averaging.optimizer)
    assert all(torch.equal(without.best_weights()[name], one) for name, one in averaging.weights.items())

    with pytest.raises(InvalidInput, match=r"resume_from: .* other layers or another rank"):
        make(folder, rank=8).restore(plain.weights, {}, plain.optimizer)
    with pytest.raises(InvalidInput, match=r"resume_from: .* another optimizer"):
        make(folder, optimizer="prodigy", learning_rate=1.0).restore(plain.weights, {}, plain.optimizer)


def test_prodigy_finds_a_rate_and_goes_on_bit_by_bit(folder: Path) -> None:
    config = config_of(steps=12, optimizer="prodigy", learning_rate=1.0)
    training, whole, _, _ = run(folder, "flux1", config)
    (part,) = training.learner.optimizer.param_groups
    assert part["d"] > 2 * part["d0"]
    stopped = run(folder, "flux1", config, stop_at=7)[1].saved["step-00000007"]
    again = run(folder, "flux1", config, start=stopped)[1].saved["step-00000012"]
    expected = whole.saved["step-00000012"].weights
    assert all(torch.equal(again.weights[name], one) for name, one in expected.items())


def test_what_is_not_there_is_named_by_its_field(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    with pytest.raises(InvalidInput, match=r"config\.optimizer: adamw8bit works on a GPU only"):
        make_optimizer(config_of(optimizer="adamw8bit"), parameters, CPU)
    with pytest.raises(InvalidInput, match=r"config\.optimizer: adamw8bit needs bitsandbytes.* pip install"):
        make_optimizer(config_of(optimizer="adamw8bit"), parameters, torch.device("cuda"))
    monkeypatch.setitem(__import__("sys").modules, "prodigyopt", None)
    with pytest.raises(InvalidInput, match=r"config\.optimizer: prodigy needs prodigyopt"):
        make_optimizer(config_of(optimizer="prodigy", learning_rate=1.0), parameters, CPU)
    for quantize in ("int8", "nf4"):
        with pytest.raises(InvalidInput, match=rf"config\.quantize_base: {quantize} needs a GPU and bitsandbytes"):
            components.load_denoiser(base_of(folder, "flux1"), device=CPU, dtype=torch.float32, quantize=quantize)


def test_trained_text_encoders_go_on_bit_by_bit_with_dropout(folder: Path) -> None:
    config = config_of(
        steps=4, dropout=0.4, train_text_encoder=True, validate_every=1, learning_rate=0.01, gradient_accumulation=2
    )

    def pipe() -> Any:
        return components.load_text_pipeline(base_of(folder, "sd15"), device=CPU, dtype=torch.float32)

    whole = run(folder, "sd15", config, text_pipe=pipe())[1].saved["step-00000004"]
    stopped = run(folder, "sd15", config, text_pipe=pipe(), stop_at=2)[1].saved["step-00000002"]
    again = run(folder, "sd15", config, text_pipe=pipe(), start=stopped)[1].saved["step-00000004"]
    assert any(name.startswith("text_encoder") for name in whole.weights)
    assert all(torch.equal(again.weights[name], one) for name, one in whole.weights.items())
