"""Small files that mean harm are refused in words, within little memory, and leave nothing anywhere."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.contracts.hostile.bombs import BOMBS

MOST_MB = 100.0
# What is there is read, whatever the header says of it.
MAY_BE_READ = frozenset(
    {
        "a video whose pictures are noise",
        "a video of 65,535 x 65,535",
        "a WAV at 1 Hz",
        "a FLAC that says 2^36 samples",
    }
)
HEAVY = ("100,000 members", "200 MB", "1,200,000", "2^36", "200 GB", "1 GB", "gigapixels", "megapixels", "a video")


def grown_mb(before: int) -> float:
    """By how much this process' greatest size is above `before` kB."""
    return (_status("VmHWM") - before) / 1024


def start_measuring() -> int:
    """Forget the greatest size so far; returns the present one in kB."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if any(part in name for part in HEAVY) else []) for name in BOMBS],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_it_is_refused(name: str, tmp_path: Path) -> None:
    bomb = BOMBS[name]
    inside = tmp_path / "root" / "in"
    inside.mkdir(parents=True)
    path = inside / f"file{bomb.suffix}"
    bomb.write(path)
    before = start_measuring()
    try:
        bomb.read(path)
        was_read = True
    except bomb.raises:
        was_read = False
    assert grown_mb(before) < MOST_MB
    assert not was_read or name in MAY_BE_READ
    assert list(tmp_path.rglob("*")) == [tmp_path / "root", inside, path]
    assert not Path("/tmp/a.png").exists()
    assert not Path("/tmp/lora.safetensors").exists()
