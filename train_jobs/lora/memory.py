"""How much device memory each phase took, and what to do when it was not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from thornback.errors import TrainingFailed
from thornback.jobs.own_lora import LoraConfig
from thornback.jobs.status import FailureReason
from train_jobs.lora.choices import GIB, Choices


class Peaks:
    """The greatest use of each phase: of the GPU where there is one, else of the process."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = ProcessPeak()
        self._peaks: dict[str, int] = {}

    def phase(self, name: str) -> None:
        """A phase has ended."""
        if self._device.type == "cuda":
            self._peaks[name] = torch.cuda.max_memory_allocated(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._peaks[name] = self._process.take()

    def as_dict(self) -> dict[str, int]:
        """Phase -> bytes."""
        return dict(self._peaks)


class ProcessPeak:
    """The greatest resident size of this process, of one stretch after another, where the kernel counts it."""

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        """`proc` is the kernel's folder of this process."""
        self._proc = proc
        self._can_reset = self._reset()

    def take(self) -> int:
        """Bytes since this was last asked; without a Linux that lets us reset its mark, those in use now."""
        now: int = psutil.Process().memory_info().rss
        if not self._can_reset:
            return now
        peak = self._high_water_mark()
        self._can_reset = self._reset()
        return max(now, peak)

    def _reset(self) -> bool:
        try:
            (self._proc / "clear_refs").write_text("5")  # "reset the peak resident set size"; see proc(5)
        except OSError:
            return False
        return True

    def _high_water_mark(self) -> int:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0


@contextmanager
def explain_out_of_memory(
    config: LoraConfig, choices: Choices, device: torch.device, *, in_training: bool = True
) -> Iterator[None]:
    """Turn a failed allocation into what was needed, what there was, and which switch helps.

    Args:
        config: of the run.
        choices: that were made for it.
        device: which had too little.
        in_training: False while the model is loaded, when checkpointing saves nothing yet.

    Raises:
        TrainingFailed: `details["retry_with_checkpointing"]` is True where that has not been tried and may be.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        told = _told(device)
        can_checkpoint = in_training and config.gradient_checkpointing is None and not choices.checkpointing.on
        raise TrainingFailed(
            f"{str(error).splitlines()[0]} {told} To make it fit: {advice(config, choices)}",
            reason=FailureReason.OUT_OF_MEMORY.value,
            retryable=False,
            retry_with_checkpointing=can_checkpoint,
        ) from error


def advice(config: LoraConfig, choices: Choices) -> str:
    """Which switches save memory, the cheapest first."""
    switches = []
    if not choices.checkpointing.on:
        switches.append("gradient_checkpointing: true (slower by a third or more)")
    if config.batch_size > 1:
        switches.append(f"batch_size: 1 with gradient_accumulation: {config.batch_size * config.gradient_accumulation}")
    if len(config.resolution) > 1 or max(config.resolution) > 512:
        switches.append(f"resolution: [{min(512, *config.resolution)}]")
    if config.quantize_base == "none":
        switches.append("quantize_base: int8 or nf4")
    if config.devices > 1 and not choices.shard.on:
        switches.append("strategy: fsdp")
    return "; ".join(switches) or "a device with more memory"


def _told(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    used = torch.cuda.memory_allocated(device)
    return f"({used / GIB:.1f} GiB in use, {free / GIB:.1f} free of {total / GIB:.1f}.)"
