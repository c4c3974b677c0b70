"""What is decided from the hardware when the configuration leaves it open, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from thornback.jobs.convnext import TrainingConfig
from train_jobs.common.choice import Choice

# torch.compile costs one to two minutes on a GPU and then saves about 30 %: it pays off from about here.
COMPILE_FROM_IMAGES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one worker has."""

    on_gpu: bool
    has_bf16: bool
    has_triton: bool
    cores: int  # of the node
    local_workers: int  # on this node


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """All of them."""

    amp: Choice
    channels_last: Choice
    compile: Choice
    threads: int  # torch's, in this worker
    loader_processes: int
    loader_reason: str

    def facts(self) -> dict[str, str]:
        """For `describe`."""
        return {
            "amp": str(self.amp),
            "channels_last": str(self.channels_last),
            "compile": str(self.compile),
            "threads": str(self.threads),
            "loader_processes": f"{self.loader_processes}: {self.loader_reason}",
        }


def choose(config: TrainingConfig, machine: Machine, *, images: int) -> Choices:
    """Decide. `images` is how many the whole run will train on, over all workers."""
    processes = min(config.num_workers, max(0, machine.cores // machine.local_workers - (not machine.on_gpu)))
    return Choices(
        amp=_amp(config, machine),
        channels_last=_asked(config.channels_last) or Choice(machine.on_gpu, f"the default on {_kind(machine)}"),
        compile=_compile(config, machine, images),
        # More threads than reserved cores only take time from each other and from other jobs.
        threads=max(1, min(config.cpus_per_device, machine.cores // machine.local_workers)),
        loader_processes=processes,
        loader_reason="as configured"
        if processes == config.num_workers
        else f"{config.num_workers} asked for, but {machine.cores} cores serve {machine.local_workers} workers",
    )


def _amp(config: TrainingConfig, machine: Machine) -> Choice:
    if config.amp is not None:
        return Choice(config.amp, "as configured")
    if not machine.on_gpu:
        return Choice(False, "bf16 is slower than float32 on most CPUs")
    if not machine.has_bf16:
        return Choice(False, "this GPU has no bf16")
    return Choice(True, "this GPU has bf16")


def _compile(config: TrainingConfig, machine: Machine, images: int) -> Choice:
    if config.compile is not None:
        return Choice(config.compile, "as configured")
    if not machine.on_gpu:
        return Choice(False, "not worth its start-up time on a CPU")
    if not machine.has_triton:
        return Choice(False, "triton is not installed")
    if images < COMPILE_FROM_IMAGES:
        return Choice(False, f"{images} images are too few to win back the minutes it costs")
    return Choice(True, f"{images} images win back the minutes it costs")


def _asked(value: bool | None) -> Choice | None:
    return None if value is None else Choice(value, "as configured")


def _kind(machine: Machine) -> str:
    return "a GPU" if machine.on_gpu else "a CPU"
