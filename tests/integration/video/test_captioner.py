"""Caption models on actors of a real Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fixtures.ray import RayNode
from tests.fixtures.tiny_captioners import build_blip
from tests.unit.datasets.pictures_made import picture
from thornback.errors import WeightsUnavailable
from thornback.jobs.video_lora import CaptionOptions
from train_jobs.video_lora.captioner import captioning

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(picture("PNG", (64 + number, 64)))
    return paths


def test_a_model_looks_at_pictures_and_gives_its_place_back(
    ray_node: RayNode, tmp_path: Path, pictures: list[Path]
) -> None:
    torch.set_num_threads(1)
    options = CaptionOptions(method="blip", model=str(build_blip(tmp_path / "blip")))
    with captioning(options, ray_node.settings(tmp_path), lambda: None) as captioner:
        assert captioner is not None
        said = captioner.describe(pictures)
    assert [type(words) for words in said] == [str, str, str]
    assert captioner.name == "blip (blip)"


def test_weights_that_are_not_there(ray_node: RayNode, tmp_path: Path, pictures: list[Path]) -> None:
    options = CaptionOptions(method="florence2", model=str(tmp_path / "nothing"))
    with captioning(options, ray_node.settings(tmp_path), lambda: None) as captioner:
        assert captioner is not None
        with pytest.raises(WeightsUnavailable, match="cannot be loaded as Florence-2"):
            captioner.describe(pictures)
