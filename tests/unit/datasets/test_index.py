from __future__ import annotations

from pathlib import Path

from tests.unit.datasets.audio_files import write_manifest
from thornback.datasets import open_dataset
from thornback.datasets.index import read_index, write_index
from thornback.jobs.convnext import TrainingConfig


def test_a_dataset_survives_its_file(tmp_path: Path) -> None:
    rows = [f"{label}{i}.wav,{label},20,true,0.01,0.05" for label in "äb" for i in range(4)]
    rows.append("c.wav,b,1,true,,")
    manifest = write_manifest(tmp_path, rows, "path,label,snr_db,approved,start,duration")
    dataset = open_dataset(str(manifest), TrainingConfig())
    again = read_index(write_index(dataset))
    assert again.report == dataset.report
    assert (again.root, again.classes) == (dataset.root, dataset.classes)
    for mine, theirs in ((again.train, dataset.train), (again.val, dataset.val), (again.test, dataset.test)):
        assert [(clip.path, clip.label, clip.start, clip.duration) for clip in mine] == [
            (clip.path, clip.label, clip.start, clip.duration) for clip in theirs
        ]
