"""What becomes of each image of a dataset."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.unit.train_jobs.lora.bench_of_one import config_of
from thornback.datasets.captioned import CaptionedImage, ImageIndex
from thornback.errors import DataError
from train_jobs.lora.shots import make_examples


def image(name: str, size: tuple[int, int] = (512, 512)) -> CaptionedImage:
    """`size` is width, height."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return CaptionedImage(name=name, sha256=sha256, width=size[0], height=size[1], caption=name)


def index(*images: CaptionedImage, **changes: Any) -> ImageIndex:
    return ImageIndex(source="there", images=images, **changes)


MANY = [image(f"{number:03}.png") for number in range(40)]


def test_an_image_is_trained_at_every_resolution_that_it_fills() -> None:
    config = config_of(resolution=[256, 512, 1024], crops=3)
    wide, small = image("wide.png", (1200, 600)), image("small.png", (300, 300))
    tiny = image("tiny.png", (100, 600))
    examples, report = make_examples(config, index(wide, small, tiny), None, multiple=64)
    # 2:1 of 256² is 320 x 192 (their ratio 1.67 is nearer than 384 x 128 with 3), of 512² 704 x 320 or 640 x 384
    assert [(shot.name, shot.size) for shot in examples.train] == [
        ("small.png", (256, 256)),
        ("wide.png", (192, 320)),
        ("wide.png", (320, 704)),
    ]
    assert {shot.crops for shot in examples.train} == {3}
    assert report.buckets == {"192 x 320": 1, "256 x 256": 1, "320 x 704": 1}
    assert report.too_small == {
        "small.png": "300 x 300 is smaller than a bucket of 512, 1024: it is not trained at 512, 1024",
        "tiny.png": "100 x 600 is smaller than a bucket of 256, 512, 1024: it is not trained on",
        "wide.png": "1200 x 600 is smaller than a bucket of 1024: it is not trained at 1024",
    }
    assert report.images == 2
    assert "tiny.png: 100 x 600 is smaller" in "\n".join(report.lines())


def test_small_images_are_blown_up_on_request_only() -> None:
    with pytest.raises(DataError, match=r"config\.resolution: every image is smaller"):
        make_examples(config_of(resolution=[512]), index(image("a.png", (500, 500))), None, multiple=16)
    asked = config_of(resolution=[512], upscale=True)
    examples, report = make_examples(asked, index(image("a.png", (500, 500))), None, multiple=16)
    assert [shot.size for shot in examples.train] == [(512, 512)]
    assert report.too_small == {}


def test_what_is_held_out_stays_so_when_an_image_comes() -> None:
    config = config_of(resolution=[256, 512], validation_split=0.25)
    examples, report = make_examples(config, index(*MANY), None, multiple=16)
    assert (report.images, report.held_out, len(examples.val), len(examples.train)) == (30, 10, 10, 60)
    held_out = {shot.name for shot in examples.val}
    assert {shot.size for shot in examples.val} == {(512, 512)}
    assert not held_out & {shot.name for shot in examples.train}
    again, _ = make_examples(config, index(*reversed(MANY)), None, multiple=16)
    assert again == examples
    more, _ = make_examples(config, index(*MANY, image("new.png"), image("newer.png")), None, multiple=16)
    assert len(held_out - {shot.name for shot in more.val}) <= 2
    other, _ = make_examples(config.model_copy(update={"seed": 1}), index(*MANY), None, multiple=16)
    assert {shot.name for shot in other.val} != held_out


def test_one_image_is_never_held_out_and_a_small_one_neither() -> None:
    config = config_of(resolution=[256], validation_split=0.5)
    small = [image(f"small{number}.png", (100, 100)) for number in range(9)]
    examples, report = make_examples(config, index(MANY[0], MANY[1], *small), None, multiple=16)
    assert (len(examples.train), len(examples.val), report.held_out) == (1, 1, 1)
    examples, _ = make_examples(config, index(MANY[0], *small), None, multiple=16)
    assert (len(examples.train), len(examples.val)) == (1, 0)


def test_regularisation_images_have_their_weight_and_are_never_held_out() -> None:
    config = config_of(resolution=[256], validation_split=0.5, regularisation_weight=0.3)
    others = index(image("other.png"), image("other2.png"), image("000.png"), image("tiny.png", (20, 20)))
    examples, report = make_examples(config, index(*MANY[:4]), others, multiple=16)
    weights = {shot.name: shot.weight for shot in examples.train}
    assert {name for name, weight in weights.items() if weight == 0.3} == {"other.png", "other2.png"}
    assert sum(weight == 1.0 for weight in weights.values()) == 2
    assert {shot.weight for shot in examples.val} == {1.0}
    assert report.regularisation == 2
    only_others = index(image("tiny.png", (20, 20)))
    with pytest.raises(DataError, match="every image is smaller"):
        make_examples(config, only_others, others, multiple=16)


def test_everything_that_was_left_out_is_told() -> None:
    whole = index(MANY[0], dropped={"b.png": "cut off"}, duplicates={"c.png": "000.png"})
    _, report = make_examples(config_of(resolution=[256]), whole, None, multiple=16)
    assert report.lines() == [
        "1 images to train on, 0 held out",
        "bucket 256 x 256: 1",
        "dropped b.png: cut off",
        "c.png: the same file as 000.png, taken once",
    ]
