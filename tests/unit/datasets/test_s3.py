from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.s3 import S3Server
from tests.unit.datasets.audio_files import write_folder, write_manifest
from thornback.artifacts.files import join, locate
from thornback.datasets import check
from thornback.errors import DataError
from thornback.jobs.convnext import TrainingConfig


def upload(folder: Path, uri: str) -> None:
    for file in folder.rglob("*.*"):
        locate(join(uri, file.relative_to(folder).as_posix())).upload(file)


def test_a_folder_and_a_manifest_on_s3(tmp_path: Path, s3: S3Server) -> None:
    write_folder(tmp_path / "folder", {"a": 3, "b": 3})
    write_manifest(tmp_path / "listed", ["x/1.wav,a", "x/2.wav,a", "y/3.wav,b", "y/4.wav,b"])
    uri = s3.uri(s3.make_bucket(), "sets")
    upload(tmp_path, uri)
    folder = check(join(uri, "folder"), TrainingConfig())
    assert (folder.classes, folder.train, folder.val) == ({"a": 3, "b": 3}, 4, 2)
    listed = check(join(uri, "listed", "manifest.csv"), TrainingConfig())
    assert (listed.classes, listed.dropped["broken"]) == ({"a": 2, "b": 2}, 0)
    with pytest.raises(DataError, match="there is no file or folder"):
        check(join(uri, "nothing"), TrainingConfig())
    with pytest.raises(DataError, match="data"):
        check(s3.uri("no-such-bucket-here", "x"), TrainingConfig())
