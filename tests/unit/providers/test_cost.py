from __future__ import annotations

from typing import Any

import pytest

from tests.unit.providers.make import image_set, lora
from thornback.providers.catalogue import Catalogue, load_catalogue
from thornback.providers.cost import Price
from thornback.providers.port import OrderPhase, Sighting
from thornback.settings import Settings


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_catalogue(Settings(home=tmp_path_factory.mktemp("home")))


def _seen(phase: OrderPhase = OrderPhase.SUCCEEDED, **fields: Any) -> Sighting:
    return Sighting(provider="x", provider_id="1", phase=phase, status="s", **fields)


@pytest.mark.parametrize(
    ("name", "steps", "usd", "basis"),
    [
        # 1,500 s for 1,000 steps at 0.001525
        ("replicate/flux-dev-lora", None, 2.2875, "1500 seconds of H100 at 0.001525 USD"),
        ("replicate/flux-dev-lora", 2000, 4.575, "3000 seconds of H100 at 0.001525 USD"),
        ("replicate/fast-flux", 500, 1.46, "1 run at 1.46 USD"),
        ("fal/flux-lora-fast", 1500, 3.0, "1500 steps at 0.002 USD"),
        ("fal/flux-lora-portrait", 100, 2.4, "1000 steps (the least that is charged; 100 ran) at 0.0024 USD"),
        ("fal/wan", None, 2.0, "400 steps at 0.005 USD"),
        ("fal/qwen-image", 100, 1.0, "500 steps (the least that is charged; 100 ran) at 0.002 USD"),
    ],
)
def test_a_training_before_it_starts(
    catalogue: Catalogue, name: str, steps: int | None, usd: float, basis: str
) -> None:
    cost = catalogue.trainer(*name.split("/")).estimate(lora(steps=steps))
    assert (cost.usd, cost.basis) == (usd, basis)


def test_steps_given_under_the_trainers_name_count(catalogue: Catalogue) -> None:
    assert catalogue.trainer("fal", "wan").estimate(lora(inputs={"number_of_steps": 1000})).usd == 5.0


def test_a_training_after_it_has_ended(catalogue: Catalogue) -> None:
    by_time, by_steps = catalogue.trainer("replicate"), catalogue.trainer("fal", "flux-lora-portrait")
    cost = by_time.actual(_seen(predict_time_s=1472.7), lora())
    assert cost is not None
    assert cost.usd == pytest.approx(1472.7 * 0.001525, abs=1e-6)
    assert by_time.actual(_seen(), lora()) is None  # nobody said how long
    charged = by_steps.actual(_seen(), lora(steps=10))
    assert charged is not None
    assert charged.usd == 2.4
    assert by_steps.actual(_seen(OrderPhase.FAILED), lora(steps=10)) is None


def test_images(catalogue: Catalogue) -> None:
    replicate, fal = catalogue.image_model("replicate"), catalogue.image_model("fal")
    assert replicate.estimate(image_set(count=200)).usd == 0.6
    # 1600 x 900 is 1.44 megapixels, charged as two
    assert fal.estimate(image_set(count=10, width=1600, height=900)).usd == 0.06
    two = replicate.actual(_seen(outputs=("https://a/1", "https://a/2")), image_set())
    assert two is not None
    assert two.usd == 0.006
    assert replicate.actual(_seen(OrderPhase.CANCELLED), image_set()) is None


def test_one_is_one() -> None:
    assert Price(per="image", usd=0.003).of(1).basis == "1 image at 0.003 USD"
