"""What is handed out: LoRAs that load, pictures that differ, files that expire; and what is taken in."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from safetensors import safe_open

from thornback.simulator.clock import Clock
from thornback.simulator.dataset import DatasetFailed, open_zip
from thornback.simulator.files import FileStore
from thornback.simulator.lora_file import lora_file
from thornback.simulator.models import Family
from thornback.simulator.pictures import fal_size, picture, replicate_size


@pytest.mark.parametrize(
    ("family", "name", "width"),
    [
        ("flux", "transformer.single_transformer_blocks.0.attn.to_q", 3072),
        ("wan", "diffusion_model.blocks.0.self_attn.q", 5120),
        ("qwen", "transformer.transformer_blocks.0.attn.to_q", 3072),
    ],
)
def test_a_lora_has_the_names_and_shapes_of_its_family(tmp_path: Any, family: Family, name: str, width: int) -> None:
    path = tmp_path / "lora.safetensors"
    path.write_bytes(lora_file(family, rank=4, seed=1, trigger="ADA", steps=9))
    with safe_open(path, framework="numpy") as file:
        assert file.get_tensor(f"{name}.lora_A.weight").shape == (4, width)
        assert file.get_tensor(f"{name}.lora_B.weight").shape == (width, 4)
        assert '"ADA"' in file.metadata()["training_info"]


def test_a_lora_depends_on_its_seed() -> None:
    assert lora_file(rank=2, seed=1) == lora_file(rank=2, seed=1) != lora_file(rank=2, seed=2)


@pytest.mark.parametrize(("format", "kind"), [("webp", "WEBP"), ("jpg", "JPEG"), ("png", "PNG")])
def test_a_picture_is_what_was_asked_for(format: str, kind: str) -> None:
    body = picture("a cat", 7, (96, 64), format)
    image = Image.open(io.BytesIO(body))
    assert (image.format, image.size) == (kind, (96, 64))
    assert body == picture("a cat", 7, (96, 64), format)
    assert body != picture("a cat", 8, (96, 64), format)
    assert body != picture("a dog", 7, (96, 64), format)


@pytest.mark.parametrize(
    ("inputs", "size"),
    [
        ({}, (1024, 1024)),
        ({"aspect_ratio": "16:9"}, (1360, 768)),
        ({"aspect_ratio": "1:1", "megapixels": "0.25"}, (512, 512)),
        ({"width": 640, "height": 480}, (640, 480)),
        ({"aspect_ratio": "custom"}, (1024, 1024)),
    ],
)
def test_sizes_at_replicate(inputs: dict[str, Any], size: tuple[int, int]) -> None:
    assert replicate_size(inputs) == size


@pytest.mark.parametrize(
    ("inputs", "size"),
    [
        ({}, (1024, 768)),
        ({"image_size": "square"}, (512, 512)),
        ({"image_size": {"width": 320, "height": 200}}, (320, 200)),
    ],
)
def test_sizes_at_fal(inputs: dict[str, Any], size: tuple[int, int]) -> None:
    assert fal_size(inputs) == size


def test_files_expire() -> None:
    clock = Clock()
    store = FileStore(clock)
    kept, short = store.add("a", "text/plain", b"a"), store.add("b", "text/plain", lambda: b"b", ttl_s=60)
    clock.move_to(clock.now() + timedelta(seconds=60))
    assert store.all() == [kept]
    assert store.get(short.id) is None


def test_parts_are_joined_in_their_order() -> None:
    store = FileStore(Clock())
    for number, body in ((2, b"b"), (10, b"c"), (1, b"a")):
        store.put_part("u", number, body)
    assert store.join_parts("u") == b"abc"
    assert store.join_parts("u") == b""


def test_a_data_set_is_counted_as_trainers_do() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in ("ada/1.JPG", "ada/1.txt", "ada/2.png", "__MACOSX/ada/._1.JPG", "ada/._2.png"):
            file.writestr(name, b"x")
    dataset = open_zip(out.getvalue())
    assert (dataset.files, dataset.pictures, dataset.uncaptioned) == (3, ("1.JPG", "2.png"), ("2.png",))


def test_a_damaged_data_set_is_found() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("1.jpg", b"picture")
    with pytest.raises(DatasetFailed, match=r"Bad CRC-32 for file '1\.jpg'"):
        open_zip(out.getvalue().replace(b"picture", b"pictura", 1))
