"""What people may change in a dataset made from a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.datasets.video_frames import ORIGIN, new_frames
from thornback.datasets.frame_new import assembled, described
from thornback.datasets.frame_set import DropReason, FrameEdit, FrameSet
from thornback.errors import Conflict, DataError, InvalidInput


@pytest.fixture
def frames(tmp_path: Path) -> FrameSet:
    records = [described(frame, for_review=True) for frame in new_frames(tmp_path)]
    return assembled(ORIGIN, records, sealed=False)


def test_what_it_says(frames: FrameSet) -> None:
    assert [frame.id for frame in frames.kept] == ["0000", "0001"]
    assert frames.reasons == {DropReason.DUPLICATE: 1, DropReason.UNREADABLE: 1}
    assert [frame.stored for frame in frames.frames] == ["images", "images", "dropped", None]
    assert FrameSet.model_validate_json(frames.model_dump_json()) == frames


def test_captions_are_the_users(frames: FrameSet) -> None:
    changed = frames.edited(
        {"0000": FrameEdit(caption="  [trigger] on\n snow "), "0001": FrameEdit(caption="on grass")}, revision=1
    )
    assert [(frame.caption, frame.captioned_by) for frame in changed.kept] == [
        ("ohwx on snow", "user"),
        ("ohwx, on grass", "user"),
    ]
    assert changed.revision == 2
    assert changed.content != frames.content


def test_a_frame_is_dropped_and_taken_back(frames: FrameSet) -> None:
    without = frames.edited({"0001": FrameEdit(kept=False)}, revision=1)
    dropped = without.frame("0001")
    assert dropped is not None
    assert (dropped.kept, dropped.reason, dropped.caption) == (False, DropReason.USER, "ohwx, number 1")
    back = without.edited({"0001": FrameEdit(kept=True)}, revision=2)
    assert back.model_copy(update={"revision": 1}) == frames
    assert back.content == frames.content


def test_one_that_was_dropped_for_a_reason_comes_back_with_a_caption(frames: FrameSet) -> None:
    back = frames.edited({"0002": FrameEdit(kept=True)}, revision=1).frame("0002")
    assert back is not None
    assert (back.kept, back.reason, back.explanation, back.duplicate_of) == (True, None, "", None)
    assert (back.caption, back.captioned_by) == ("a photo of ohwx", "template")
    own = frames.edited({"0002": FrameEdit(kept=True, caption="ohwx at night")}, revision=1).frame("0002")
    assert own is not None
    assert (own.caption, own.captioned_by) == ("ohwx at night", "user")


def test_what_changes_nothing_is_no_revision(frames: FrameSet) -> None:
    same = FrameEdit(kept=True, caption="ohwx, number 0")
    assert frames.edited({"0000": same, "0003": FrameEdit(kept=False)}, revision=1) == frames
    assert frames.edited({}, revision=1) == frames


@pytest.mark.parametrize(
    ("id", "edit", "field"),
    [
        ("0009", FrameEdit(kept=False), "frames.0009"),
        ("0000", FrameEdit(caption="  "), "frames.0000.caption"),
        ("0003", FrameEdit(kept=True), "frames.0003.kept"),
    ],
)
def test_what_cannot_be(frames: FrameSet, id: str, edit: FrameEdit, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        frames.edited({id: edit}, revision=1)
    assert caught.value.details["errors"][0]["field"] == field


def test_something_must_be_left(frames: FrameSet) -> None:
    drop = FrameEdit(kept=False)
    with pytest.raises(InvalidInput, match="no frame would be left"):
        frames.edited({"0000": drop, "0001": drop}, revision=1)


def test_of_two_who_change_the_same_revision_the_second_is_told(frames: FrameSet) -> None:
    changed = frames.edited({"0000": FrameEdit(caption="first")}, revision=1)
    with pytest.raises(Conflict, match="now of revision 2"):
        changed.edited({"0000": FrameEdit(caption="second")}, revision=1)


def test_what_is_sealed_stays(frames: FrameSet) -> None:
    with pytest.raises(Conflict, match="was approved"):
        frames.model_copy(update={"sealed": True}).edited({}, revision=1)


def test_unfit_frames(tmp_path: Path) -> None:
    new = new_frames(tmp_path)
    records = [described(frame, for_review=False) for frame in new]
    with pytest.raises(DataError, match="several frames are called 0000"):
        assembled(ORIGIN, [*records, records[0]], sealed=True)
    with pytest.raises(DataError, match="no frame was good enough"):
        assembled(ORIGIN, records[2:], sealed=True)
    (tmp_path / "a.gif").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.gif"):
        described(type(new[0])(path=tmp_path / "a.gif", time_s=0, scene=0, width=1, height=1), for_review=False)
