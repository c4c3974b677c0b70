from __future__ import annotations

from pathlib import Path

from thornback.media.quality import judge
from thornback.media.sample_clip import write_sample_clip
from thornback.media.scan import scan


def test_its_scenes_are_where_it_says_and_all_are_good_enough(tmp_path: Path) -> None:
    begins = write_sample_clip(tmp_path / "fish.mp4", scenes=4)
    (tmp_path / "frames").mkdir()
    found = scan(tmp_path / "fish.mp4", tmp_path / "frames")
    assert [scene.start_s for scene in found.scenes.scenes] == begins == [0.0, 1.5, 3.0, 4.5]
    assert [frame.scene for frame in found.frames] == [0, 1, 2, 3]
    assert all(verdict.kept for verdict in judge([frame.path for frame in found.frames]))
