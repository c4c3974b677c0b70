from __future__ import annotations

from pathlib import Path

from thornback.jobs.video_stages import Took, VideoStage
from train_jobs.video_lora.history import KEPT, Durations


def test_later_runs_read_what_earlier_ones_took(tmp_path: Path) -> None:
    fal = Durations(str(tmp_path), trainer="fal:flux")
    fal.write("0001", {VideoStage.SCENES: Took(3.0, 60.0), VideoStage.TRAIN: Took(500.0, 1000.0)})
    Durations(str(tmp_path), trainer="ray:sdxl").write("0002", {VideoStage.SCENES: Took(4.0, 60.0)})
    Durations(str(tmp_path), trainer="ray:sdxl").write("0003", {VideoStage.TRAIN: Took(90.0, 1000.0)})
    assert fal.read() == {"SCENES": [Took(4.0, 60.0), Took(3.0, 60.0)], "TRAIN": [Took(500.0, 1000.0)]}


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    durations = Durations(str(tmp_path), trainer="fal:")
    for number in range(KEPT + 5):
        durations.write(f"{number:04d}", {VideoStage.FETCH: Took(float(number), 1.0)})
    found = durations.read()["FETCH"]
    assert [took.seconds for took in found] == [float(number) for number in reversed(range(5, KEPT + 5))]


def test_what_cannot_be_read_only_makes_the_guess_worse(tmp_path: Path) -> None:
    durations = Durations(str(tmp_path), trainer="fal:")
    assert durations.read() == {}
    durations.write("0001", {VideoStage.FETCH: Took(1.0, 1.0)})
    (tmp_path / "durations" / "0000.json").write_text("{")
    assert durations.read() == {"FETCH": [Took(1.0, 1.0)]}
