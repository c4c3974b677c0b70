"""The peak of memory of each phase."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import psutil
import pytest
import torch

from train_jobs.lora.memory import Peaks, ProcessPeak

SIZE = 96 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="no other kernel has a mark that can be reset")
def test_what_a_phase_took_and_gave_back_is_its_peak_and_not_the_next_ones() -> None:
    peaks = Peaks(torch.device("cpu"))
    peaks.phase("before")
    with mmap.mmap(-1, SIZE) as taken:  # fresh pages, whatever this process has lying about
        taken.write(bytes(1) * SIZE)
    peaks.phase("large")
    peaks.phase("after")
    told = peaks.as_dict()
    assert list(told) == ["before", "large", "after"]
    # Half of it leaves room for what other parts of the process give back meanwhile.
    assert told["large"] - told["before"] > SIZE / 2
    assert told["large"] - told["after"] > SIZE / 2


def test_without_a_mark_it_is_what_is_in_use(tmp_path: Path) -> None:
    told = ProcessPeak(tmp_path / "no such folder").take()
    assert told == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
