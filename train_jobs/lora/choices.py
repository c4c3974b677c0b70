"""What is decided from the hardware when the configuration leaves it open, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thornback.jobs.own_lora import LoraConfig
from train_jobs.common.choice import Choice

GIB = 1024**3

# torch.compile of the repeated blocks costs minutes and then saves 10 to 35 %: it pays off from about here.
COMPILE_FROM_STEPS = 2000

# Activations that a block keeps for its backward pass, in values per token and hidden feature: attention's
# inputs and outputs, the feed-forward's four-fold middle, norms. Measured models lie between 30 and 40.
VALUES_PER_TOKEN = 36

# Of a device's memory, left for what nobody counted: the allocator's gaps, cuDNN, the optimizer.
RESERVE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one worker has."""

    on_gpu: bool
    has_bf16: bool
    has_triton: bool
    memory_bytes: int  # of its device, free before anything is loaded; 0 on a CPU
    cores: int  # of the node
    local_workers: int  # on this node
    world_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the model asks of a device."""

    base_bytes: int  # the frozen denoiser in its precision
    blocks: int
    hidden: int  # features of a token
    tokens: int  # of the largest image, text included
    batch: int

    def activation_bytes(self, bytes_each: int) -> int:
        """What the backward pass keeps without checkpointing."""
        return self.blocks * self.hidden * self.tokens * self.batch * VALUES_PER_TOKEN * bytes_each


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """All of them."""

    precision: Literal["bf16", "fp32"]
    precision_reason: str
    checkpointing: Choice
    compile: Choice
    shard: Choice  # FSDP
    threads: int  # torch's, in this worker

    def facts(self) -> dict[str, str]:
        """For `describe`."""
        return {
            "precision": f"{self.precision}: {self.precision_reason}",
            "gradient_checkpointing": str(self.checkpointing),
            "compile": str(self.compile),
            "fsdp": str(self.shard),
            "threads": str(self.threads),
        }


def choose_precision(config: LoraConfig, machine: Machine) -> tuple[Literal["bf16", "fp32"], str]:
    """Of the base's weights and of the forward pass."""
    if config.precision != "auto":
        return config.precision, "as configured"
    if not machine.on_gpu:
        return "fp32", "bf16 is slower than float32 on most CPUs"
    if not machine.has_bf16:
        return "fp32", "this GPU has no bf16"
    return "bf16", "this GPU has bf16"


def choose(config: LoraConfig, machine: Machine, load: Load, *, steps: int) -> Choices:
    """Decide, once it is known what the model weighs."""
    precision, reason = choose_precision(config, machine)
    shard = _shard(config, machine, load)
    return Choices(
        precision=precision,
        precision_reason=reason,
        checkpointing=_checkpointing(config, machine, load, bytes_each=2 if precision == "bf16" else 4, shard=shard.on),
        compile=_compile(config, machine, steps),
        shard=shard,
        threads=max(1, min(config.cpus_per_device, machine.cores // machine.local_workers)),
    )


def _shard(config: LoraConfig, machine: Machine, load: Load) -> Choice:
    if machine.world_size == 1:
        return Choice(False, "one worker")
    if config.strategy != "auto":
        return Choice(config.strategy == "fsdp", "as configured")
    if not machine.on_gpu:
        return Choice(False, "the base fits")
    room = int(machine.memory_bytes * (1 - RESERVE))
    if load.base_bytes > room:
        return Choice(True, f"the base takes {load.base_bytes / GIB:.1f} GiB and a device has {room / GIB:.1f}")
    return Choice(False, f"the base takes {load.base_bytes / GIB:.1f} GiB of a device's {room / GIB:.1f}")


def _checkpointing(config: LoraConfig, machine: Machine, load: Load, *, bytes_each: int, shard: bool) -> Choice:
    if config.gradient_checkpointing is not None:
        return Choice(config.gradient_checkpointing, "as configured")
    if not machine.on_gpu:
        return Choice(False, "memory of a CPU is not counted")
    base = load.base_bytes // (machine.world_size if shard else 1)
    room = int(machine.memory_bytes * (1 - RESERVE)) - base
    needed = load.activation_bytes(bytes_each)
    told = f"activations take about {needed / GIB:.1f} GiB and {max(room, 0) / GIB:.1f} are free beside the base"
    return Choice(needed > room, told)


def _compile(config: LoraConfig, machine: Machine, steps: int) -> Choice:
    if config.compile is not None:
        return Choice(config.compile, "as configured")
    if not machine.on_gpu:
        return Choice(False, "not worth its start-up time on a CPU")
    if not machine.has_triton:
        return Choice(False, "triton is not installed")
    if steps < COMPILE_FROM_STEPS:
        return Choice(False, f"{steps} steps are too few to win back the minutes it costs")
    return Choice(True, f"{steps} steps win back the minutes it costs")
