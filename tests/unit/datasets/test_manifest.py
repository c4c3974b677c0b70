from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.datasets.audio_files import write_folder, write_manifest, write_tone
from thornback.datasets.clips import Clip
from thornback.datasets.manifest import list_clips
from thornback.errors import DataError

ROWS = [
    {"path": "a/1.wav", "label": "a", "snr_db": 12.5, "approved": True, "split": "train", "start": 0.5, "duration": 1},
    {"path": "b/2.wav", "label": "b", "snr_db": None, "approved": None, "split": "validation", "start": None},
]
CLIPS = (
    Clip(path="a/1.wav", label="a", snr_db=12.5, approved=True, split="train", start=0.5, duration=1.0),
    Clip(path="b/2.wav", label="b", split="val"),
)


def write_csv(path: Path) -> None:
    path.write_text(
        "\ufeffpath,label,snr_db,approved,split,start,duration\na/1.wav,a,12.5,yes,train,0.5,1\nb/2.wav,b,,,dev,,\n"
    )


def write_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")


def write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize(
    ("name", "write"), [("m.csv", write_csv), ("m.jsonl", write_jsonl), ("m.parquet", write_parquet)]
)
def test_every_format_gives_the_same_clips(tmp_path: Path, name: str, write: object) -> None:
    assert callable(write)
    write(tmp_path / name)
    listing = list_clips(str(tmp_path / name))
    assert listing.clips == CLIPS
    assert listing.root == str(tmp_path)
    assert listing.layout == "manifest"


def test_a_folder_is_listed_by_its_sub_folders(tmp_path: Path) -> None:
    write_folder(tmp_path, {"dog": 2, "cat": 1})
    write_tone(tmp_path / "cat" / "deep" / "x.flac")
    (tmp_path / "cat" / "notes.txt").write_text("no audio")
    (tmp_path / "README.md").write_text("no class")
    listing = list_clips(str(tmp_path))
    assert [(clip.path, clip.label) for clip in listing] == [
        ("cat/0.wav", "cat"),
        ("cat/deep/x.flac", "cat"),
        ("dog/0.wav", "dog"),
        ("dog/1.wav", "dog"),
    ]
    assert sorted(listing.classes) == ["cat", "dog"]


def test_a_folder_without_files_is_a_class_of_its_own(tmp_path: Path) -> None:
    write_folder(tmp_path, {"dog": 1, "empty": 0})
    assert "empty" in list_clips(str(tmp_path)).classes


@pytest.mark.parametrize(
    ("header", "row", "problem"),
    [
        ("path,name", "a.wav,x", "no column 'label'"),
        ("file,label", "a.wav,x", "no column 'path'"),
        ("path,label,snr_db", "a.wav,x,loud", "row 1, column 'snr_db'"),
        ("path,label,snr_db", "a.wav,x,inf", "row 1, column 'snr_db'"),
        ("path,label,approved", "a.wav,x,perhaps", "row 1, column 'approved'"),
        ("path,label,split", "a.wav,x,somewhere", "row 1, column 'split'"),
        ("path,label,start", "a.wav,x,-1", "row 1, column 'start'"),
        ("path,label", "a.wav,", "row 1: path and label must not be empty"),
    ],
)
def test_a_wrong_manifest_names_row_and_column(tmp_path: Path, header: str, row: str, problem: str) -> None:
    manifest = write_manifest(tmp_path, [row], header)
    with pytest.raises(DataError, match=problem) as caught:
        list_clips(str(manifest))
    assert caught.value.details["errors"][0]["field"] == "data"


def test_a_split_in_some_rows_only_is_refused(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, ["a.wav,x,train", "b.wav,y,"], "path,label,split")
    with pytest.raises(DataError, match="not in 1 of them"):
        list_clips(str(manifest))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.csv", None, "there is no file or folder"),
        ("m.txt", b"path,label", "neither a folder nor one of"),
        ("m.csv", b"path,label\n", "has no rows"),
        ("m.csv", b"\xff\xfe\x00", "cannot be read"),
        ("m.jsonl", b"{broken", "cannot be read"),
        ("m.jsonl", b"[1]", "line 1 is no JSON object"),
        ("m.parquet", b"no parquet", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_data_error(tmp_path: Path, name: str, content: bytes | None, problem: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        list_clips(str(path))


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    with pytest.raises(DataError, match="has no sub-folders"):
        list_clips(str(tmp_path))
