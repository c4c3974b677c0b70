"""How much lies where below the storage."""

from __future__ import annotations

from pathlib import Path

from thornback.artifacts.usage import AREAS, RUNS, measure


def test_every_file_counts_once_where_it_lies(tmp_path: Path) -> None:
    sizes = {"loras/ada/1/v1/model.safetensors": 7, "loras/ada/1/v1/config.json": 2, "temp/1/part": 5, "1f/log": 3}
    for name, size in sizes.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    (tmp_path / "uploads").write_bytes(b"a file, and no part of the storage")
    found = {area.name: (area.files, area.size_bytes) for area in measure(str(tmp_path))}
    assert list(found) == [*AREAS, RUNS]
    assert (found["loras"], found["temp"], found["uploads"], found[RUNS]) == ((2, 9), (1, 5), (0, 0), (2, 37))


def test_a_storage_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert {area.files for area in measure(str(tmp_path / "none"))} == {0}
