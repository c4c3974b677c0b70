from __future__ import annotations

import torch

from tests.unit.train_jobs.helpers import small_config
from train_jobs.convnext.augment import SpecAugment, mixup
from train_jobs.convnext.frontend import LogMel


def waves() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 2000, generator=generator) * torch.tensor([[1.0], [0.001], [0.1], [0.5]])


def test_shape_and_normalisation() -> None:
    spectrogram = LogMel(small_config("x"))(waves())
    assert spectrogram.shape == (4, 1, 32, 2000 // 64 + 1)
    torch.testing.assert_close(spectrogram.mean(dim=(2, 3)), torch.zeros(4, 1), atol=1e-4, rtol=0)
    torch.testing.assert_close(spectrogram.std(dim=(2, 3)), torch.ones(4, 1), atol=1e-2, rtol=0)


def test_a_clip_does_not_depend_on_the_others_of_its_batch() -> None:
    # with a cut at the loudest of the batch the second clip, 60 dB softer, would lose most of its picture
    frontend, wave = LogMel(small_config("x")), waves()
    alone = torch.cat([frontend(clip[None]) for clip in wave])
    torch.testing.assert_close(frontend(wave), alone)


def test_level_does_not_matter_and_silence_is_no_trouble() -> None:
    frontend, wave = LogMel(small_config("x")), waves()[:1]
    torch.testing.assert_close(frontend(wave), frontend(0.5 * wave), atol=1e-3, rtol=0)
    assert torch.equal(frontend(torch.zeros(1, 2000)), torch.zeros(1, 1, 32, 32))


def test_it_stays_in_float32_under_autocast() -> None:
    frontend, wave = LogMel(small_config("x")), waves()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = frontend(wave)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, frontend(wave))


def test_empty_filters_are_counted() -> None:
    assert LogMel(small_config("x")).empty_filters == 0
    assert LogMel(small_config("x", n_mels=128, n_fft=128)).empty_filters > 10


def test_each_clip_has_its_own_mask() -> None:
    torch.manual_seed(0)
    masked = SpecAugment(32, 32)(torch.ones(8, 1, 32, 32))
    kept = {tuple(clip.flatten().tolist()) for clip in masked}
    assert len(kept) == 8


def test_mixup_blends_with_partners_that_hold_a_clip() -> None:
    torch.manual_seed(0)
    wave = torch.arange(6.0)[:, None].repeat(1, 3)
    weight = torch.tensor([1.0, 1, 1, 1, 0, 0])
    for _ in range(20):
        mixed, partner, share = mixup(wave, weight, 0.4)
        assert 0 <= share <= 1
        own = torch.arange(6)
        assert bool(((weight[partner] > 0) | (partner == own)).all())
        torch.testing.assert_close(mixed, share * wave + (1 - share) * wave[partner])
