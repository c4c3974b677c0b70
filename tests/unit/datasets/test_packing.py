"""What a hosted trainer gets, from every form that `config.dataset` may have."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.s3 import S3Server
from tests.unit.datasets.image_sets import SET_ID, SetOf, image_set
from tests.unit.datasets.pictures_made import picture
from tests.unit.datasets.test_image_zip import zipped
from thornback.artifacts.files import join, locate
from thornback.artifacts.layout import stored_dataset
from thornback.datasets.packing import Packed, captioned, pack, upload_uri
from thornback.errors import DataError
from thornback.jobs.lora import RemoteLoraConfig
from thornback.settings import Settings

PROMPTS = ["Mira at the sea", "a portrait of tok", "Mira asleep"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def _pack(settings: Settings, dataset: str, reader: SetOf | None = None, **config: Any) -> Packed:
    reader = reader or image_set(settings.storage, ["x"])
    into = settings.home / "packed"
    return pack(RemoteLoraConfig(dataset=dataset, **config), settings=settings, reader=reader, into=into)


def _held(packed: Packed) -> dict[str, bytes]:
    assert packed.path is not None
    with zipfile.ZipFile(packed.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _fill(folder: str) -> None:
    for name, content in {
        "b.png": picture(),
        "b.txt": b" TOK by the sea \n",
        "a.tif": picture("TIFF"),
        "deep/c.jpg": picture("JPEG"),
        "deep/c.txt": b"TOK",
        ".hidden.png": b"",
        "read.me": b"",
    }.items():
        locate(join(folder, name)).write_bytes(content)


def test_an_address_is_passed_on(settings: Settings) -> None:
    assert _pack(settings, "https://host/a.zip") == Packed(url="https://host/a.zip")


@pytest.mark.parametrize("on_s3", [False, True])
def test_a_folder_becomes_a_zip(settings: Settings, tmp_path: Path, s3: S3Server, on_s3: bool) -> None:
    folder = s3.uri(s3.make_bucket(), "mira") if on_s3 else str(tmp_path / "mira")
    _fill(folder)
    packed = _pack(settings, folder)
    assert (packed.images, packed.captions) == (3, 2)
    held = _held(packed)
    assert list(held) == ["a.jpg", "b.png", "b.txt", "deep_c.jpg", "deep_c.txt"]
    assert (held["b.png"], held["b.txt"]) == (picture(), b"TOK by the sea")
    assert held["a.jpg"].startswith(b"\xff\xd8")
    assert _pack(settings, folder).sha256 == packed.sha256


def test_disabled_captions_stay_out(settings: Settings, tmp_path: Path) -> None:
    _fill(str(tmp_path / "mira"))
    assert _pack(settings, str(tmp_path / "mira"), captioning="disabled").captions == 0


@pytest.mark.parametrize("on_s3", [False, True])
def test_a_zip_is_handed_over_as_it_is(settings: Settings, tmp_path: Path, s3: S3Server, on_s3: bool) -> None:
    path = zipped(tmp_path / "mira.zip", {"a.png": picture(), "a.txt": b"TOK"})
    uri = s3.uri(s3.make_bucket(), "mira.zip") if on_s3 else str(path)
    if on_s3:
        locate(uri).upload(path)
    packed = _pack(settings, uri, captioning="manual")
    assert packed.path is not None
    assert packed.path.read_bytes() == path.read_bytes()
    assert (packed.images, packed.captions, packed.size_bytes) == (1, 1, path.stat().st_size)


def test_an_upload_by_its_id(settings: Settings, tmp_path: Path) -> None:
    path = zipped(tmp_path / "mira.zip", {"a.png": picture()})
    locate(upload_uri(settings.storage, SET_ID)).upload(path)
    assert _pack(settings, f"upload:{SET_ID}").images == 1
    for name in ("../../etc/passwd", "", "a/b", "ü"):
        with pytest.raises(DataError, match=r"config\.dataset"):
            _pack(settings, f"upload:{name}")


def test_a_dataset_of_a_video_by_its_key(settings: Settings, tmp_path: Path) -> None:
    key = f"datasets/ada/{SET_ID}/dataset.zip"
    locate(join(settings.storage, key)).upload(zipped(tmp_path / "mira.zip", {"a.png": picture()}))
    assert _pack(settings, stored_dataset(key)).images == 1
    for other in ("../../etc/passwd", "uploads/x.zip", "datasets/../ada/dataset.zip", key.replace("ada", "..")):
        with pytest.raises(DataError, match=r"config\.dataset.*dataset\.zip"):
            _pack(settings, stored_dataset(other))


def test_an_image_set_with_its_prompts(settings: Settings) -> None:
    reader = image_set(settings.storage, PROMPTS, failed=frozenset({3}))
    held = _held(_pack(settings, f"job:{SET_ID}", reader, trigger_word="TOK"))
    assert {name: text.decode() for name, text in held.items() if name.endswith(".txt")} == {
        "Mira_training_01.txt": "TOK, Mira at the sea",
        "Mira_training_02.txt": "a portrait of tok",
    }
    assert sorted(name for name in held if name.endswith(".jpg")) == ["Mira_training_01.jpg", "Mira_training_02.jpg"]
    assert _pack(settings, f"job:{SET_ID}", reader, captioning="automatic").captions == 0


@pytest.mark.parametrize(
    ("reader_options", "words"),
    [
        ({"is_over": False}, "wait for its end"),
        ({"failed": frozenset({1, 2, 3})}, "has no picture"),
    ],
)
def test_a_set_that_cannot_be_used(settings: Settings, reader_options: dict[str, Any], words: str) -> None:
    reader = image_set(settings.storage, PROMPTS, **reader_options)
    with pytest.raises(DataError, match=words) as caught:
        _pack(settings, f"job:{SET_ID}", reader)
    assert caught.value.details["errors"][0]["field"] == "config.dataset"


def test_a_set_that_is_not_there_or_whose_pictures_are_gone(settings: Settings) -> None:
    with pytest.raises(DataError, match="there is no job"):
        _pack(settings, "job:0192")
    reader = image_set(settings.storage, PROMPTS)
    locate(str(reader.stored[1].uri)).delete_file()
    with pytest.raises(DataError, match="there is no file"):
        _pack(settings, f"job:{SET_ID}", reader)


def test_what_is_refused_before_anything_is_paid(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice").mkdir()
    for name in ("a.png", "a.webp"):
        (tmp_path / "twice" / name).write_bytes(picture(name[2:].upper()))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(picture()[:60])
    (tmp_path / "a.zip").write_bytes(b"no zip")
    for name, words in {
        "nowhere": "there is no file",
        "empty": "holds no picture",
        "twice": "several pictures are called a",
        "broken": "a.png: the picture cannot be read",
        "a.zip": "cannot be read",
    }.items():
        with pytest.raises(DataError, match=words) as caught:
            _pack(settings, str(tmp_path / name))
        assert caught.value.details["errors"][0]["field"] == "config.dataset"
    with pytest.raises(DataError, match="cannot be read"):
        _pack(settings, "gopher://host/a.zip")


def test_manual_captions_have_to_be_there(settings: Settings, tmp_path: Path) -> None:
    path = zipped(tmp_path / "mira.zip", {"a.png": picture()})
    with pytest.raises(DataError, match=r"put a \.txt with the same name") as caught:
        _pack(settings, str(path), captioning="manual")
    assert caught.value.details["errors"][0]["field"] == "config.captioning"


def test_a_dataset_over_the_limit(settings: Settings, tmp_path: Path) -> None:
    path = zipped(tmp_path / "mira.zip", {"a.png": picture()})
    small = settings.model_copy(update={"dataset_max_bytes": 100})
    with pytest.raises(DataError, match="at most 100"):
        _pack(small, str(path))


def test_a_caption_holds_the_trigger_word_once() -> None:
    assert captioned("a cat", None) == "a cat"
    assert captioned("a cat", "TOK") == "TOK, a cat"
    assert captioned("tok, a cat", "TOK") == "tok, a cat"
