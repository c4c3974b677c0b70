"""Captions of a dataset: the template, measured facts, a model's words, and a person's, which win."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from thornback.datasets.captions.facts import facts_of
from thornback.datasets.captions.write import Caption, compose, write_captions
from thornback.errors import DataError
from thornback.jobs.video_lora import CaptionOptions

SAYINGS = {
    "0": "A red fox sits in the snow.",
    "1": "</s>a fox runs",
    "2": "a a a a a a a a a",
    "3": "a fox under trees",
}


class Says:
    """A captioner that has learned its words by heart."""

    name = "parrot"
    batch = 2

    def __init__(self) -> None:
        self.batches: list[int] = []

    def describe(self, images: Sequence[Path]) -> list[str]:
        self.batches.append(len(images))
        return [SAYINGS.get(path.stem, "") for path in images]


def images(folder: Path, count: int = 4) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        Image.new("RGB", (32, 24), (20, 30, 200)).save(path)
    return paths


@pytest.mark.parametrize(
    ("template", "said", "facts", "caption"),
    [
        ("a photo of [trigger]", "", "", "a photo of ohwx"),
        ("a photo of [trigger]", "a red fox.", "dark", "a photo of ohwx, a red fox, dark"),
        ("[trigger], [caption], film still", "a red fox.", "", "ohwx, a red fox, film still"),
        ("[trigger], [caption]", "", "dark", "ohwx, dark"),
        ("[caption]", "a red fox", "", "ohwx, a red fox"),
        ("[caption]", "", "", "ohwx"),
        ("a film still", "", "", "ohwx, a film still"),
    ],
)
def test_composed(template: str, said: str, facts: str, caption: str) -> None:
    assert compose(template, trigger_word="ohwx", said=said, facts=facts) == caption


def test_without_a_model(tmp_path: Path) -> None:
    captions = write_captions(images(tmp_path, 2), CaptionOptions(), "ohwx")
    assert captions == [Caption(text="a photo of ohwx", by="template")] * 2
    with_facts = write_captions(images(tmp_path, 1), CaptionOptions(facts=True), "ohwx")
    assert with_facts[0].text == "a photo of ohwx, mostly blue"


def test_with_a_model(tmp_path: Path) -> None:
    says, told = Says(), list[float]()
    captions = write_captions(images(tmp_path), CaptionOptions(), "ohwx", captioner=says, tell=told.append)
    assert [(caption.text, caption.by) for caption in captions] == [
        ("a photo of ohwx, A red fox sits in the snow", "parrot"),
        ("a photo of ohwx, a fox runs", "parrot"),
        ("a photo of ohwx", "template"),  # what it said was nothing
        ("a photo of ohwx, a fox under trees", "parrot"),
    ]
    assert captions[2].problem == "it says 'a' 9 times"
    assert (says.batches, told) == ([2, 2], [0.5, 1.0])


def test_what_a_person_wrote_wins(tmp_path: Path) -> None:
    says = Says()
    own = {"0": "[trigger] in winter ", "1": "at night"}
    captions = write_captions(images(tmp_path, 3), CaptionOptions(facts=True), "ohwx", captioner=says, own=own)
    assert captions[:2] == [Caption(text="ohwx in winter", by="user"), Caption(text="ohwx, at night", by="user")]
    assert says.batches == [1]


def test_a_model_that_says_nonsense_ends_it(tmp_path: Path) -> None:
    paths = images(tmp_path, 8)  # of 4 to 7 it says nothing
    with pytest.raises(DataError, match=r"5 of 8 captions of the model cannot be used, e\.g\. of 2\.png"):
        write_captions(paths, CaptionOptions(), "ohwx", captioner=Says())


@pytest.mark.parametrize(
    ("colours", "facts"),
    [
        ([(20, 30, 200)], "mostly blue"),
        ([(10, 20, 60)], "dark, mostly blue"),
        ([(250, 240, 120)], "bright, mostly yellow"),
        ([(128, 128, 128)], "black and white"),
        ([(255, 255, 255)], "bright, black and white"),
        ([(0, 0, 0)], "dark, black and white"),
        ([(200, 20, 20), (20, 160, 30), (20, 160, 30)], "mostly green and red"),
        ([(220, 20, 60), (220, 20, 20)], "mostly red"),  # both ends of the circle
    ],
)
def test_facts(tmp_path: Path, colours: list[tuple[int, int, int]], facts: str) -> None:
    image = Image.new("RGB", (len(colours) * 20, 40))
    for place, colour in enumerate(colours):
        image.paste(colour, (place * 20, 0, place * 20 + 20, 40))
    image.save(tmp_path / "a.png")
    assert facts_of(tmp_path / "a.png") == facts


def test_facts_of_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(DataError):
        facts_of(tmp_path / "a.png")
