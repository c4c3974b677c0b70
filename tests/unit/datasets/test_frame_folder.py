"""A video's dataset in a folder and on S3: written, changed by several at once, sealed, and packed once."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fixtures.s3 import S3Server
from tests.unit.datasets.video_frames import ORIGIN, SIZE, new_frames
from thornback.artifacts.files import join, locate
from thornback.datasets import pictures
from thornback.datasets.frame_folder import FrameFolder
from thornback.datasets.frame_set import DropReason, FrameEdit
from thornback.datasets.image_files import open_images
from thornback.datasets.image_zip import check_zip, digest
from thornback.errors import Conflict, DataError, NotFound, StorageUnavailable

DROP = FrameEdit(kept=False)


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "storage" / "datasets" / "ada" / "job")
    s3: S3Server = request.getfixturevalue("s3")
    return s3.uri(s3.make_bucket(), "datasets/ada/job")


@pytest.fixture
def folder(uri: str) -> FrameFolder:
    return FrameFolder(uri)


def names(uri: str) -> list[str]:
    return [entry.path for entry in locate(uri).files()]


def text(uri: str, *path: str) -> str:
    return locate(join(uri, *path)).read_bytes().decode()


def test_what_is_trained_on_and_what_people_look_at(folder: FrameFolder, uri: str, tmp_path: Path) -> None:
    told: list[float] = []
    new = new_frames(tmp_path / "work")
    made = folder.write(new, ORIGIN, tell=told.append)
    assert names(uri) == [
        "captions/0000.txt",
        "captions/0001.txt",
        "dataset.json",
        "images/0000.jpg",
        "images/0001.jpg",
        "thumbnails/0000.jpg",
        "thumbnails/0001.jpg",
        "thumbnails/0002.jpg",
    ]
    assert text(uri, "captions", "0001.txt") == "ohwx, number 1"
    assert locate(join(uri, "images", "0000.jpg")).read_bytes() == new[0].path.read_bytes()
    assert folder.read() == made
    assert made.sealed
    before = {entry.path: entry.modified_at for entry in locate(uri).files()}
    assert folder.seal() == made
    assert {entry.path: entry.modified_at for entry in locate(uri).files()} == before
    assert json.loads(text(uri, "dataset.json"))["frames"][2]["duplicate_of"] == "0000"
    assert told == [0.25, 0.5, 0.75, 1.0]
    with pytest.raises(NotFound, match="only the thumbnail"):
        folder.picture(made.frames[2])
    small = pictures.check(folder.thumbnail("0002").read_bytes())
    assert (small.format, small.width, small.height) == ("JPEG", *SIZE)


def test_what_was_approved_stays_whatever_is_found_in_the_video_later(folder: FrameFolder, tmp_path: Path) -> None:
    frames = new_frames(tmp_path / "work")
    folder.write(frames, ORIGIN, for_review=True)
    folder.edit({"0001": DROP}, revision=1)
    with pytest.raises(Conflict, match="of revision 2 by now"):
        folder.approve(revision=1)
    approved = folder.approve(revision=2)
    assert (approved.sealed, approved.settled, folder.approve(revision=2)) == (True, False, approved)
    with pytest.raises(Conflict, match="was approved"):
        folder.edit({"0001": FrameEdit(kept=True)}, revision=2)
    assert folder.write(frames[:1], ORIGIN, for_review=True) == approved


def test_a_review(folder: FrameFolder, uri: str, tmp_path: Path) -> None:
    made = folder.write(new_frames(tmp_path / "work"), ORIGIN, for_review=True)
    assert not made.sealed
    assert "dropped/0002.jpg" in names(uri)
    with pytest.raises(Conflict, match="still in review"):
        folder.pack(tmp_path)

    edits = {"0001": DROP, "0002": FrameEdit(kept=True), "0000": FrameEdit(caption="[trigger] sits")}
    assert folder.edit(edits, revision=1).revision == 2
    with pytest.raises(Conflict):
        folder.edit({"0000": FrameEdit(caption="too late")}, revision=1)
    assert folder.picture(folder.read().frames[2]).read_bytes()

    sealed = folder.seal()
    assert [name for name in names(uri) if not name.startswith("thumbnails/")] == [
        "captions/0000.txt",
        "captions/0002.txt",
        "dataset.json",
        "images/0000.jpg",
        "images/0002.jpg",
    ]
    assert (text(uri, "captions", "0000.txt"), text(uri, "captions", "0002.txt")) == ("ohwx sits", "a photo of ohwx")
    assert folder.read() == sealed == folder.seal()
    assert [frame.reason for frame in sealed.frames] == [None, DropReason.USER, None, DropReason.UNREADABLE]
    with pytest.raises(Conflict, match="was approved"):
        folder.edit({"0000": DROP}, revision=2)


def test_a_pipeline_that_begins_again_keeps_what_people_changed(folder: FrameFolder, uri: str, tmp_path: Path) -> None:
    new = new_frames(tmp_path / "work")
    folder.write(new, ORIGIN, for_review=True)
    changed = folder.edit({"0000": FrameEdit(caption="mine")}, revision=1)
    assert folder.write(new, ORIGIN, for_review=True) == changed
    other = new_frames(tmp_path / "other")
    other[0].path.write_bytes(other[1].path.read_bytes())
    assert folder.write(other, ORIGIN, for_review=True).revision == 1


def test_one_that_was_not_finished_is_no_dataset(folder: FrameFolder, uri: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        folder.read()
    with pytest.raises(NotFound):
        folder.edit({}, revision=1)
    new = new_frames(tmp_path / "work")
    gone = dataclasses.replace(new[1], path=tmp_path / "work" / "gone.jpg")
    with pytest.raises(OSError, match=r"gone\.jpg"):
        folder.write([new[0], gone], ORIGIN)
    assert "dataset.json" not in names(uri)
    locate(join(uri, "dataset.json")).write_bytes(b"{}")
    with pytest.raises(DataError, match=r"dataset\.json"):
        folder.read()
    folder.write(new, ORIGIN)
    assert len(folder.read().kept) == 2


def test_the_zip_is_made_once(folder: FrameFolder, uri: str, tmp_path: Path) -> None:
    folder.write(new_frames(tmp_path / "work"), ORIGIN)
    record = folder.pack(tmp_path / "zip")
    place = locate(folder.zip_uri)
    before = {entry.path: entry.modified_at for entry in locate(uri).files()}
    assert folder.pack(tmp_path / "zip") == record == folder.read().zip
    assert {entry.path: entry.modified_at for entry in locate(uri).files()} == before
    assert list((tmp_path / "zip").iterdir()) == []

    path = tmp_path / "found.zip"
    place.download(path)
    report = check_zip(path)
    assert (report.images, report.captions) == (record.images, 2) == (2, 2)
    assert (digest(path), path.stat().st_size) == (record.sha256, record.size_bytes)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["0000.jpg", "0000.txt", "0001.jpg", "0001.txt"]
        assert archive.read("0000.txt") == b"ohwx, number 0"

    place.delete_file()
    assert folder.pack(tmp_path / "zip") == record  # the same bytes again


def test_the_zip_is_of_what_was_approved(folder: FrameFolder, tmp_path: Path) -> None:
    folder.write(new_frames(tmp_path / "work"), ORIGIN, for_review=True)
    folder.edit({"0001": DROP}, revision=1)
    folder.seal()
    assert folder.pack(tmp_path / "zip").images == 1


def test_our_own_training_reads_it(folder: FrameFolder, tmp_path: Path) -> None:
    folder.write(new_frames(tmp_path / "work"), ORIGIN)
    folder.pack(tmp_path / "zip")
    files = open_images(folder.zip_uri, storage=str(tmp_path), into=tmp_path / "into")
    assert files.names() == ["0000.jpg", "0000.txt", "0001.jpg", "0001.txt"]


def test_many_reviewers(folder: FrameFolder, tmp_path: Path) -> None:
    folder.write(new_frames(tmp_path / "work"), ORIGIN, for_review=True)

    def caption(number: int) -> int:
        while True:
            seen = folder.read()
            frame = seen.frame("0000")
            assert frame is not None
            try:
                edit = FrameEdit(caption=f"{frame.caption} {number}")
                return folder.edit({"0000": edit}, revision=seen.revision).revision
            except Conflict:
                continue

    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(caption, range(8)))
    assert sorted(revisions) == list(range(2, 10))  # nobody wrote over another's change
    said = folder.read().frame("0000")
    assert said is not None
    assert sorted(said.caption.split()[3:]) == sorted(map(str, range(8)))


class _Breaks(RuntimeError):
    pass


@pytest.mark.parametrize("step", ["_settle", "_sweep"])
def test_a_seal_that_broke_is_done_again(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    FrameFolder(uri).write(new_frames(tmp_path / "work"), ORIGIN, for_review=True)
    FrameFolder(uri).edit({"0001": DROP, "0002": FrameEdit(kept=True)}, revision=1)

    def breaks(*_: object) -> None:
        raise _Breaks

    with monkeypatch.context() as patch:
        patch.setattr(FrameFolder, step, breaks)
        with pytest.raises(_Breaks):
            FrameFolder(uri).seal()
    with pytest.raises(Conflict):  # but no edit comes in between
        FrameFolder(uri).edit({"0000": DROP}, revision=2)
    sealed = FrameFolder(uri).seal()
    assert [frame.id for frame in sealed.kept] == ["0000", "0002"]
    assert [name for name in names(uri) if name.startswith(("images/", "dropped/"))] == [
        "images/0000.jpg",
        "images/0002.jpg",
    ]


def test_a_storage_that_is_away(s3: S3Server, tmp_path: Path) -> None:
    uri = s3.uri(s3.make_bucket(), "d").replace("//test:test@", "//test:test@no-such-bucket-")
    with pytest.raises((NotFound, StorageUnavailable)):
        FrameFolder(uri).write(new_frames(tmp_path / "work"), ORIGIN)
