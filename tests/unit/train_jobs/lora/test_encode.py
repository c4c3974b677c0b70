"""What is encoded once is found again by whoever asks for the same, and by nobody else."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.s3 import S3Server
from tests.unit.datasets.pictures_made import picture
from tests.unit.train_jobs.lora.test_families import CPU, base_of
from thornback.artifacts.files import locate
from thornback.artifacts.node_cache import NodeCache
from thornback.errors import DataError
from thornback.metrics.reporter import NullReporter
from train_jobs.common.group import Group
from train_jobs.lora import cache as cache_module
from train_jobs.lora import components
from train_jobs.lora.cache import Cache, model_key
from train_jobs.lora.encode import encode_images, encode_texts
from train_jobs.lora.examples import Latents, Shot
from train_jobs.lora.families.base import Frame

PICTURES = [picture("PNG", (80 + number, 64)) for number in range(3)]
CAPTIONS = ["", "a fox", "a boat"]


def shot_of(content: bytes, **changes: Any) -> Shot:
    values: dict[str, Any] = {"caption": "a fox", "size": (64, 64), "crops": 2, **changes}
    return Shot(image=hashlib.sha256(content).hexdigest(), name="a picture", **values)


SHOTS = [shot_of(content) for content in PICTURES]
CONTENT = {shot.image: content for shot, content in zip(SHOTS, PICTURES, strict=True)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> components.BaseModel:
    return base_of(tmp_path_factory.mktemp("models"), "sd15")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which encoders were loaded."""
    loaded: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        real = getattr(components, name)

        def load(*args: Any, **options: Any) -> Any:
            loaded.append(name)
            return real(*args, **options)

        return load

    for name in ("load_text_pipeline", "load_vae"):
        monkeypatch.setattr(components, name, noting(name))
    return loaded


def open_cache(uri: str, *, masks: dict[str, str] | None = None) -> Cache:
    cache = Cache(uri, text_key="t", image_key="i")
    cache.use_masks(masks or {})
    return cache


def texts(base: components.BaseModel, cache: Cache, captions: list[str] = CAPTIONS) -> int:
    return encode_texts(base, captions, cache, Group(), NullReporter(), dtype=torch.float32)


def images(
    base: components.BaseModel,
    cache: Cache,
    shots: list[Shot] = SHOTS,
    *,
    read: Any = lambda shot: CONTENT[shot.image],
    mask: bytes | None = None,
) -> int:
    return encode_images(
        base, shots, cache, Group(), NullReporter(), dtype=torch.float32, read=read, read_mask=lambda _: mask
    )


@pytest.mark.parametrize("on_s3", [False, True])
def test_the_second_run_loads_no_encoder(
    base: components.BaseModel, loads: list[str], tmp_path: Path, s3: S3Server, on_s3: bool
) -> None:
    uri = s3.uri(s3.make_bucket(), "cache") if on_s3 else str(tmp_path)
    first = open_cache(uri)
    assert (texts(base, first), images(base, first)) == (3, 6)
    assert loads == ["load_text_pipeline", "load_vae"]
    second = open_cache(uri)
    assert (texts(base, second), images(base, second)) == (0, 0)
    assert loads == ["load_text_pipeline", "load_vae"]
    assert second.statistics == first.statistics
    assert second.statistics["scale"] == 0.18215
    for shot in SHOTS:
        for crop in range(2):
            one, other = first.latents(shot, crop), second.latents(shot, crop)
            assert torch.equal(one.mean, other.mean)
            assert one.frame == other.frame
            assert one.mean.shape == (4, 8, 8)
    assert first.latents(SHOTS[0], 0).frame.original == (64, 80)
    # What comes later is all that is encoded.
    assert texts(base, second, [*CAPTIONS, "a house"]) == 1
    assert images(base, second, [*SHOTS, replace(SHOTS[0], size=(64, 128)), replace(SHOTS[1], crops=3)]) == 3


def test_what_was_read_once_is_near_for_the_next_process(tmp_path: Path, s3: S3Server) -> None:
    uri = s3.uri(s3.make_bucket(), "cache")
    near = NodeCache(tmp_path, 1 << 20)
    first = Cache(uri, text_key="t", image_key="i", near=near)
    first.put_text("a cat", {"hidden": torch.arange(6.0).reshape(2, 3)})
    first.text("a cat")
    locate(uri).delete_tree()
    second = Cache(uri, text_key="t", image_key="i", near=near)
    assert torch.equal(second.text("a cat")["hidden"], torch.arange(6.0).reshape(2, 3))


def test_a_kept_crop_is_what_the_vae_says_of_the_picture(base: components.BaseModel, tmp_path: Path) -> None:
    cache = open_cache(str(tmp_path))
    images(base, cache, [shot_of(PICTURES[0], size=(64, 64), crops=1)])
    from thornback.datasets.pictures import to_rgb
    from train_jobs.lora.buckets import cut
    from train_jobs.lora.pixels import to_pixels

    pixels = to_pixels(to_rgb(PICTURES[0]), cut(64, 80, (64, 64), crop=0, key=(1,)))
    with torch.no_grad():
        vae = components.load_vae(base, device=CPU, dtype=torch.float32)
        expected = base.model_family.encode_images(vae, pixels[None])
    kept = cache.latents(SHOTS[0], 0)
    assert torch.equal(kept.mean, expected.mean[0])
    assert torch.equal(kept.std, expected.std[0])
    assert kept.frame == Frame(original=(64, 80), crop=(0, 8), target=(64, 64))


def test_a_run_that_was_killed_goes_on_where_it_was(
    base: components.BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def read(shot: Shot) -> bytes:
        if shot == sorted(SHOTS, key=lambda one: one.image)[2]:
            raise Killed
        return CONTENT[shot.image]

    cache = open_cache(str(tmp_path))
    with pytest.raises(Killed):
        images(base, cache, read=read)
    assert images(base, open_cache(str(tmp_path))) == 2
    with monkeypatch.context() as patch:
        patch.setattr("train_jobs.lora.encode.TEXTS_AT_ONCE", 1)
        real, seen = base.model_family.encode_text, []

        def encode(pipe: Any, prompts: list[str]) -> Any:
            seen.append(prompts)
            if len(seen) == 3:
                raise Killed
            return real(pipe, prompts)

        patch.setattr(type(base.model_family), "encode_text", lambda self, pipe, prompts: encode(pipe, prompts))
        with pytest.raises(Killed):
            texts(base, cache)
    assert texts(base, open_cache(str(tmp_path))) == 1
    assert texts(base, cache) == 0


def test_a_picture_that_was_changed_is_not_kept_under_the_old_name(base: components.BaseModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a picture is another picture than when the run began"):
        images(base, open_cache(str(tmp_path)), SHOTS[:1], read=lambda _: PICTURES[1])
    assert not list(tmp_path.rglob("*-64x64-*"))


def test_a_mask_has_its_own_file(base: components.BaseModel, tmp_path: Path) -> None:
    half = picture("PNG", (80, 64), mode="L")
    plain, masked = open_cache(str(tmp_path)), open_cache(str(tmp_path), masks={SHOTS[0].image: "a" * 64})
    assert images(base, plain, SHOTS[:1]) == 2
    assert images(base, masked, SHOTS[:1], mask=half) == 2
    kept = masked.latents(SHOTS[0], 0)
    assert kept.mask is not None
    assert kept.mask.shape == (1, 8, 8)
    assert kept.mask.max() > kept.mask.min() + 0.1
    assert open_cache(str(tmp_path)).latents(SHOTS[0], 0).mask is None
    other = open_cache(str(tmp_path), masks={SHOTS[0].image: "b" * 64})
    assert not other.has_latents(SHOTS[0], 0)


def test_a_model_is_known_by_its_weights(base: components.BaseModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base.source, folder)

    def keys() -> tuple[str, str]:
        return model_key(str(folder), None, ("text_encoder", "tokenizer")), model_key(str(folder), None, ("vae",))

    first = keys()
    assert first == (
        model_key(base.source, None, ("tokenizer", "text_encoder")),
        model_key(base.source, None, ("vae",)),
    )
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    second = keys()
    assert (second[0], second[1] != first[1]) == (first[0], True)
    (folder / "tokenizer" / "tokenizer_config.json").write_text("{}")
    assert keys()[0] != first[0]
    made = {model_key("a/b", commit, ("vae",), made_by=by) for commit in ("c1", "c2") for by in ("bf16", "fp32")}
    assert len(made) == 4


def test_a_large_file_is_told_by_stripes(tmp_path: Path) -> None:
    size = 40 * (1 << 16)
    (tmp_path / "vae").mkdir()
    file = tmp_path / "vae" / "weights.safetensors"
    file.write_bytes(bytes(size))
    first = model_key(str(tmp_path), None, ("vae",))
    assert model_key(str(tmp_path), None, ("vae",)) == first
    for start in (0, size // 2 - (1 << 17), size - (1 << 18)):
        changed = bytearray(size)
        changed[start : start + (1 << 18)] = b"\1" * (1 << 18)  # a tensor in the middle, or at either end
        file.write_bytes(changed)
        assert model_key(str(tmp_path), None, ("vae",)) != first


def _latents(value: float, *, size: int = 8) -> Latents:
    frame = Frame(original=(64, 64), crop=(0, 0), target=(64, 64))
    return Latents(mean=torch.full((4, size, size), value), std=torch.ones(4, size, size), frame=frame)


def test_two_writers_leave_a_whole_file(tmp_path: Path) -> None:
    caches = [open_cache(str(tmp_path)) for _ in range(4)]

    def write(cache: Cache) -> None:
        for _ in range(30):
            cache.put_latents(SHOTS[0], 0, _latents(1.0))
            assert open_cache(str(tmp_path)).latents(SHOTS[0], 0).mean.eq(1.0).all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, caches))
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = 2 * 4 * 8 * 8 * 4  # mean and std, float32
    monkeypatch.setattr(cache_module, "KEPT_BYTES", 2 * each)
    cache = open_cache(str(tmp_path))
    for number, shot in enumerate(SHOTS):
        cache.put_latents(shot, 0, _latents(float(number)))
    for _ in range(2):
        for number, shot in enumerate(SHOTS):
            assert cache.latents(shot, 0).mean.eq(number).all()
            assert cache.held_bytes <= 2 * each
    shutil.rmtree(tmp_path)
    assert cache.latents(SHOTS[2], 0).mean.eq(2).all()
    with pytest.raises(Exception, match="no file"):
        cache.latents(SHOTS[0], 0)
