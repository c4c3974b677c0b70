from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.datasets.audio_files import write_folder, write_manifest, write_tone
from thornback.datasets import check, open_dataset
from thornback.errors import DataError
from thornback.jobs.convnext import TrainingConfig

HEADER = "path,label,snr_db,approved"
DEFAULT = TrainingConfig()  # min_snr_db 10, only approved, 20 % held out


def test_filters_count_what_they_drop(tmp_path: Path) -> None:
    rows = [f"a{i}.wav,a,20,true" for i in range(5)] + [f"b{i}.wav,b,20,true" for i in range(5)]
    rows += ["c.wav,a,9.9,true", "d.wav,a,10,false", "e.wav,b,3,false", "f.wav,b,,"]
    report = check(str(write_manifest(tmp_path, rows, HEADER)), DEFAULT)
    # snr is looked at first: e is dropped by it although it is not approved either; f has no values and stays
    assert report.dropped == {"min_snr_db": 2, "only_approved": 1, "broken": 0}
    assert (report.found, report.kept, report.classes) == (14, 11, {"a": 5, "b": 6})
    assert (report.train, report.val, report.test) == (9, 2, 0)
    json.dumps(report.as_dict())


def test_rows_without_the_columns_are_kept(tmp_path: Path) -> None:
    report = check(str(write_manifest(tmp_path, ["a.wav,a", "b.wav,a", "c.wav,b", "d.wav,b"])), DEFAULT)
    assert report.kept == 4


def test_nothing_left_says_which_filter_dropped_how_many(tmp_path: Path) -> None:
    rows = ["a.wav,a,1,true", "b.wav,b,2,true", "c.wav,b,20,no"]
    with pytest.raises(DataError, match="no clips are left of 3: dropped 2 by min_snr_db, 1 by only_approved"):
        check(str(write_manifest(tmp_path, rows, HEADER)), DEFAULT)


def test_a_class_that_the_filters_emptied_is_named(tmp_path: Path) -> None:
    rows = ["a.wav,a,20,true", "b.wav,b,20,true", "c.wav,c,2,true", "d.wav,c,20,no"]
    with pytest.raises(DataError, match=r"class 'c' is empty: all 2 clips were dropped \(1 by min_snr_db, 1 by only"):
        check(str(write_manifest(tmp_path, rows, HEADER)), DEFAULT)


def test_an_empty_folder_and_a_single_class_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "empty", {"dog": 2, "cat": 0})
    with pytest.raises(DataError, match=r"class 'cat' is empty: the folder .*cat has no \.wav"):
        check(str(tmp_path / "empty"), DEFAULT)
    write_folder(tmp_path / "single", {"dog": 2})
    with pytest.raises(DataError, match="only one class, 'dog'"):
        check(str(tmp_path / "single"), DEFAULT)


@pytest.mark.parametrize("path", [None, ""])
def test_no_dataset_at_all_names_the_field(path: str | None) -> None:
    with pytest.raises(DataError) as caught:
        check(path, DEFAULT)
    assert caught.value.details["errors"][0]["field"] == "data"


def test_broken_files_are_skipped_counted_and_named(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 10, "b": 10})
    (tmp_path / "a" / "0.wav").write_bytes(b"RIFF, but cut off")
    report = check(str(tmp_path), DEFAULT)  # 1 of 20 is 5 %, which is just allowed
    assert report.kept == 19
    assert report.dropped["broken"] == 1
    assert [file.path for file in report.broken] == ["a/0.wav"]
    (tmp_path / "b" / "0.wav").unlink()
    (tmp_path / "b" / "0.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 20 clips \(10.0%\) cannot be read and 5.0% are allowed: a/0.wav: "):
        check(str(tmp_path), DEFAULT)


def test_missing_files_and_starts_after_the_end_are_broken(tmp_path: Path) -> None:
    config = TrainingConfig(max_broken_share=0.5)
    rows = [f"{label}{i}.wav,{label}," for label in "ab" for i in range(3)]
    manifest = write_manifest(tmp_path, rows, "path,label,start")
    with manifest.open("a") as file:
        file.write("gone.wav,a,\na0.wav,a,0.5\n")  # a0 is 0.1 s long
    reasons = {file.path: file.reason for file in check(str(manifest), config).broken}
    assert reasons["gone.wav"] == "there is no such file"
    assert reasons["a0.wav"] == "it is 0.10 s long and the clip would start at 0.5 s"


def test_the_dataset_comes_in_the_manifests_own_split(tmp_path: Path) -> None:
    rows = [f"{label}-{split}.wav,{label},{split}" for label in "ab" for split in ("train", "val", "test")]
    dataset = open_dataset(str(write_manifest(tmp_path, rows, "path,label,split")), DEFAULT)
    assert [clip.path for clip in dataset.test] == ["a-test.wav", "b-test.wav"]
    assert dataset.classes == ("a", "b")
    assert dataset.report.split == "manifest"


def test_lengths_and_rates_are_reported(tmp_path: Path) -> None:
    write_tone(tmp_path / "a" / "1.wav", seconds=0.5, rate=8000)
    write_tone(tmp_path / "b" / "1.flac", seconds=2.0, rate=16000)
    report = check(str(tmp_path), DEFAULT)
    assert report.sample_rates == {8000: 1, 16000: 1}
    assert (report.shortest_seconds, report.longest_seconds, report.seconds) == (0.5, 2.0, 2.5)
