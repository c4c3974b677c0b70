"""Small audio files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def write_tone(path: Path, *, hertz: float = 440.0, seconds: float = 0.1, rate: int = 8000, channels: int = 1) -> Path:
    """A sine wave at half of full scale; every channel the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * hertz * time)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate)
    return path


def write_folder(root: Path, counts: dict[str, int]) -> Path:
    """A dataset with one sub-folder per class."""
    for label, count in counts.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            write_tone(root / label / f"{index}.wav", hertz=200.0 + 10 * index)
    return root


def write_manifest(root: Path, rows: list[str], header: str = "path,label") -> Path:
    """A CSV manifest; the files that its first column names are made."""
    for row in rows:
        write_tone(root / row.split(",")[0])
    path = root / "manifest.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path
