"""Images with captions from everywhere; what cannot be used is named."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.fixtures.s3 import S3Server
from tests.unit.datasets.image_sets import SET_ID, image_set
from tests.unit.datasets.pictures_made import picture, saved
from tests.unit.datasets.test_image_zip import zipped
from thornback.artifacts.files import join, locate
from thornback.artifacts.layout import stored_dataset, uploads_uri
from thornback.datasets import pictures
from thornback.datasets.captioned import (
    ImageIndex,
    caption_for,
    captions_of_set,
    look,
    open_images,
    refuse_broken,
)
from thornback.datasets.packing import captioned
from thornback.errors import DataError

DATASET = {
    "a.png": picture(),
    "a.txt": "TOK, süß ".encode("utf-8-sig"),
    "in/b.JPG": picture("JPEG", (30, 20)),
    "in/b.txt": b"[trigger]  in a boat",
    "c.webp": picture("WEBP", (20, 40)),
    "d.png": picture(size=(8, 8)),
    "e.png": picture(size=(9, 9)),
    "metadata.jsonl": (
        b'{"file_name": "c.webp", "text": "a cat"}\n\n{"file_name": "./a.png", "text": "not this"}\n'
        b'{"file_name": "d.png", "caption": "one\xe2\x80\xa8line", "more": [1]}'
    ),
    ".hidden.png": b"",
    "__MACOSX/._a.png": b"",
    "read.me": b"",
}
CAPTIONS = {
    "a.png": "TOK, süß",
    "in/b.JPG": "TOK in a boat",
    "c.webp": "TOK, a cat",
    "d.png": "TOK, one\u2028line",
    "e.png": "a photo of TOK",
}


def fill(uri: str, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        locate(join(uri, name)).write_bytes(content)
    return uri


def looked(source: str, tmp_path: Path, *, storage: str = "", masks: str | None = None, **options: Any) -> ImageIndex:
    files = open_images(source, storage=storage, into=tmp_path / "fetched")
    opened = None if masks is None else open_images(masks, storage=storage, into=tmp_path / "masks")
    return look(files, source=source, masks=opened, masks_source=masks, **options)


def captions(index: ImageIndex) -> dict[str, str]:
    return {image.name: image.caption for image in index.images}


@pytest.mark.parametrize("kind", ["folder", "zip", "s3 folder", "s3 zip", "upload", "stored"])
def test_one_dataset_from_everywhere(kind: str, tmp_path: Path, s3: S3Server) -> None:
    storage = str(tmp_path / "storage")
    packed = zipped(tmp_path / "all.zip", DATASET)
    if kind == "folder":
        source = fill(str(tmp_path / "images"), DATASET)
    elif kind == "zip":
        source = str(packed)
    elif kind == "upload":
        locate(join(uploads_uri(storage), "0a-1b.zip")).upload(packed)
        source = "upload:0a-1b"
    elif kind == "stored":
        locate(join(storage, "datasets/ada/0a-1b/dataset.zip")).upload(packed)
        source = stored_dataset("datasets/ada/0a-1b/dataset.zip")
    else:
        source = s3.uri(s3.make_bucket(), "sets/mine" if kind == "s3 folder" else "all.zip")
        if kind == "s3 folder":
            fill(source, DATASET)
        else:
            locate(source).upload(packed)
    options: dict[str, Any] = {"trigger_word": "TOK", "default_caption": "a photo of [trigger]"}
    index = looked(source, tmp_path, storage=storage, **options)
    assert captions(index) == CAPTIONS
    assert not index.dropped
    assert {image.name: (image.width, image.height) for image in index.images}["c.webp"] == (20, 40)
    assert ImageIndex.from_json(index.as_json()) == index
    files = open_images(source, storage=storage, into=tmp_path / "again")
    assert files.read("in/b.JPG") == DATASET["in/b.JPG"]


@pytest.mark.parametrize("source", ["https://host/a.zip", "/nowhere/at/all", "upload:../x", "job:../x", "job:"])
def test_what_is_no_source_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        looked(source, tmp_path, storage=str(tmp_path))


def test_an_image_set_is_a_dataset_with_its_prompts(tmp_path: Path) -> None:
    storage = str(tmp_path / "storage")
    prompts = ["Mira at the sea", "a portrait of tok", "Mira asleep"]
    made = image_set(storage, prompts, failed=frozenset({2}))
    index = looked(f"job:{SET_ID}", tmp_path, storage=storage, captions=captions_of_set(made.state), trigger_word="TOK")
    assert captions(index) == {
        "Mira_training_01.jpg": "TOK, Mira at the sea",
        "Mira_training_03.jpg": "TOK, Mira asleep",
    }
    with pytest.raises(DataError, match="wait for its end"):
        captions_of_set(image_set(storage, prompts, is_over=False).state)


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "C:\\a.png", "in\\a.png"])
def test_a_zip_with_a_way_out_is_refused_whole(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside"):
        looked(str(zipped(tmp_path / "bad.zip", {"a.png": picture(), name: picture()})), tmp_path)


def test_links_and_bombs_in_a_zip_are_refused(tmp_path: Path) -> None:
    linked = tmp_path / "link.zip"
    with zipfile.ZipFile(linked, "w") as archive:
        info = zipfile.ZipInfo("a.png")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        looked(str(linked), tmp_path)
    bomb = zipped(tmp_path / "bomb.zip", {"a.png": bytes(20_000_000)})
    assert bomb.stat().st_size < 50_000
    with pytest.raises(DataError, match="unpacked, the ZIP has more"):
        open_images(str(bomb), storage="", into=tmp_path, max_bytes=10_000_000)
    with pytest.raises(DataError, match="at most 1000"):
        open_images(str(bomb), storage="", into=tmp_path, max_bytes=1000)
    with pytest.raises(DataError, match="cannot be read"):
        looked(str(fill(str(tmp_path), {"no.zip": b"PK but no ZIP"})) + "/no.zip", tmp_path)


def test_a_zip_that_lies_about_a_member_costs_that_member_only(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": picture(), "b.png": picture(size=(9, 9))}, compression=0)
    content = bytearray(path.read_bytes())
    content[content.index(b"IHDR") + 6] ^= 0xFF  # within a.png: its CRC is wrong now
    path.write_bytes(content)
    index = looked(str(path), tmp_path)
    assert list(captions(index)) == ["b.png"]
    assert "broken" in index.dropped["a.png"]


def test_a_folder_with_links_and_odd_files(tmp_path: Path) -> None:
    folder = Path(fill(str(tmp_path / "images"), {"a.png": picture(), "deep/b.png": picture(size=(9, 9))}))
    (folder / "gone.png").symlink_to(tmp_path / "nothing.png")
    (folder / "linked.png").symlink_to(Path(fill(str(tmp_path / "else"), {"c.png": picture(size=(7, 7))})) / "c.png")
    (folder / "round").symlink_to(folder)
    (folder / "folder.png").mkdir()
    index = looked(str(folder), tmp_path)
    assert {name for name in captions(index) if not name.startswith("round/")} == {"a.png", "deep/b.png", "linked.png"}
    assert len(index.images) == 3


def test_bad_lines_of_metadata_are_named(tmp_path: Path) -> None:
    lines = ['{"file_name": "a.png", "text": "x"}', "{", "", "[1]", '{"file_name": "a.png"}', "[" * 100_000]
    source = fill(str(tmp_path / "x"), {"a.png": picture(), "metadata.jsonl": "\n".join(lines).encode()})
    with pytest.raises(DataError, match=r"metadata\.jsonl: no JSON object with file_name and text in line 2, 4, 5, 6"):
        looked(source, tmp_path)
    fill(source, {"metadata.jsonl": b"\xff\xfe"})
    with pytest.raises(DataError, match="not UTF-8"):
        looked(source, tmp_path)


def test_metadata_speaks_of_its_own_folder(tmp_path: Path) -> None:
    files = {"train/metadata.jsonl": b'{"file_name": "a.png", "text": "x"}', "train/a.png": picture()}
    assert captions(looked(fill(str(tmp_path / "x"), files), tmp_path)) == {"train/a.png": "x"}


@pytest.mark.parametrize(
    ("caption", "trigger_word", "expected"),
    [
        (None, None, ""),
        (None, "TOK", "TOK"),
        ("", "TOK", "TOK"),
        ("a cat", None, "a cat"),
        ("a cat", "TOK", "TOK, a cat"),
        ("a tok cat", "TOK", "a tok cat"),
        ("a stoked cat", "TOK", "TOK, a stoked cat"),
        ("a cat, [trigger]", "TOK", "a cat, TOK"),
        ("a [trigger] cat", None, "a cat"),
        ("a $&+? cat", "$&+?", "a $&+? cat"),
    ],
)
def test_the_trigger_word_is_in_its_place_or_in_front(
    caption: str | None, trigger_word: str | None, expected: str
) -> None:
    assert caption_for(caption, trigger_word) == expected
    if caption and "[" not in caption:
        assert captioned(caption, trigger_word) == expected


def _mask(size: tuple[int, int]) -> bytes:
    return saved(Image.new("L", size, 255), "PNG")


def test_masks_belong_to_the_path_or_else_to_the_stem(tmp_path: Path) -> None:
    images = {f"{name}.png": picture(size=(20 + place, 10)) for place, name in enumerate(["x/1", "y/1", "2", "3"])}
    masks = {"1.png": _mask((40, 20)), "y/1.jpg": saved(Image.new("L", (42, 20)), "JPEG"), "2.webp": _mask((22, 10))}
    source, folder = fill(str(tmp_path / "i"), images), fill(str(tmp_path / "m"), masks)
    index = looked(source, tmp_path, masks=folder)
    assert {image.name: image.mask for image in index.images} == {
        "x/1.png": "1.png",
        "y/1.png": "y/1.jpg",
        "2.png": "2.webp",
        "3.png": None,
    }
    assert index.masks == folder
    fill(folder, {"2.webp": _mask((44, 20))})
    assert looked(source, tmp_path, masks=folder).sha256 != index.sha256
    fill(folder, {"2.webp": _mask((10, 10)), "3.png": b"no picture"})
    dropped = looked(source, tmp_path, masks=folder).dropped
    assert dropped["2.png"] == "its mask 2.webp is 10 x 10 and the image 22 x 10"
    assert dropped["3.png"].startswith("its mask 3.png: ")
    with pytest.raises(DataError, match=r"config\.masks: no picture in .* is called like an image"):
        looked(source, tmp_path, masks=fill(str(tmp_path / "other"), {"z.png": _mask((1, 1))}))


def _oriented(size: tuple[int, int]) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture("JPEG", size, exif=exif)


def _animated() -> bytes:
    frames = [Image.new("RGB", (6, 5), colour) for colour in ("red", "blue")]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


READABLE = {
    "turned.jpg": _oriented((30, 20)),
    "alpha.png": saved(Image.new("RGBA", (5, 6), (255, 0, 0, 0)), "PNG"),
    "deep.png": saved(Image.new("I;16", (5, 7), 0x80FF), "PNG"),
    "cmyk.jpg": saved(Image.new("CMYK", (5, 8), (0, 255, 255, 0)), "JPEG"),
    "palette.png": saved(Image.new("RGB", (5, 9), "red").quantize(4), "PNG"),
    "moving.gif": _animated(),
    "grey.bmp": saved(Image.new("L", (5, 10), 7), "BMP"),
}
BROKEN = {
    "cut.jpg": picture("JPEG", (64, 64))[:-200],
    "cut.png": picture("PNG", (64, 64))[:-200],
    "odd.avif": re.sub(rb"(?<=mdat).", b"\xff", picture("AVIF", (64, 64)), flags=re.DOTALL),
    "empty.png": b"",
    "text.jpg": b"no picture at all",
    "page.gif": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "bytes.webp": b"RIFF\0\0\0\0WEBPVP8 ",
}


def test_every_kind_of_picture_is_read_or_named(tmp_path: Path) -> None:
    source = fill(str(tmp_path / "x"), {**READABLE, **BROKEN, "bad.png": picture(), "bad.txt": b"\xff"})
    index = looked(source, tmp_path)
    assert set(captions(index)) == READABLE.keys()
    assert index.dropped.keys() == {*BROKEN, "bad.png"}
    assert "not UTF-8" in index.dropped["bad.png"]
    sizes = {image.name: (image.width, image.height) for image in index.images}
    assert sizes["turned.jpg"] == (20, 30)
    for name, content in READABLE.items():
        image = pictures.to_rgb(content)
        assert (image.size, image.mode) == (sizes[name], "RGB")
    colours = {name: pictures.to_rgb(content).getpixel((2, 2)) for name, content in READABLE.items()}
    assert colours["alpha.png"] == (255, 255, 255)
    assert colours["deep.png"] == (0x80, 0x80, 0x80)
    assert colours["palette.png"] == colours["moving.gif"] == (255, 0, 0)
    red, green, blue = colours["cmyk.jpg"]  # type: ignore[misc]
    assert red > 200 > 60 > max(green, blue)


def test_the_same_file_counts_once(tmp_path: Path) -> None:
    files = {"a.png": picture(), "a.txt": b"first", "b.png": picture(), "b.txt": b"second", "c.png": picture("JPEG")}
    index = looked(fill(str(tmp_path / "x"), files), tmp_path)
    assert captions(index) == {"a.png": "first", "c.png": ""}
    assert index.duplicates == {"b.png": "a.png"}
    refuse_broken(index, most=0.0, setting="config.max_broken_share")


def test_too_many_broken_ones_end_it(tmp_path: Path) -> None:
    files = {"a.png": picture(), "b.png": picture(size=(9, 9)), "c.png": b"broken"}
    index = looked(fill(str(tmp_path / "x"), files), tmp_path)
    refuse_broken(index, most=0.34, setting="config.max_broken_share")
    with pytest.raises(DataError, match=r"config\.max_broken_share: 1 of 3 images \(33\.3%\).*c\.png: it is no pict"):
        refuse_broken(index, most=0.3, setting="config.max_broken_share")
    empty = looked(fill(str(tmp_path / "empty"), {"a.txt": b"", "b.png": b""}), tmp_path)
    with pytest.raises(DataError, match=r"config\.regularisation: .*holds no image that can be read: b\.png"):
        refuse_broken(empty, most=1.0, setting="config.max_broken_share", field="config.regularisation")


def test_the_hash_tells_content_and_captions_and_not_names(tmp_path: Path) -> None:
    def sha256(**files: bytes) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return looked(fill(str(folder), {name.replace("_", "."): one for name, one in files.items()}), tmp_path).sha256

    one = sha256(a_png=picture(), b_png=picture("JPEG"), a_txt=b"x")
    assert sha256(c_png=picture(), a_jpg=picture("JPEG"), c_txt=b"x") == one
    assert sha256(a_png=picture(), b_png=picture("JPEG"), a_txt=b"y") != one
    assert sha256(a_png=picture(size=(5, 5)), b_png=picture("JPEG"), a_txt=b"x") != one


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thornback.datasets.image_files.MAX_FILE_BYTES", 1000)
    big = io.BytesIO(picture(size=(2, 2)) + bytes(2000)).getvalue()
    source = fill(str(tmp_path / "x"), {"a.png": big, "b.png": picture(size=(2, 2))})
    assert looked(source, tmp_path).dropped == {"a.png": "it has more than 1000 bytes"}
    packed = zipped(tmp_path / "x.zip", {"a.png": big, "b.png": picture(size=(2, 2))})
    assert looked(str(packed), tmp_path).dropped == {"a.png": "it has more than 1000 bytes"}
