"""What is chosen for which machine, with the reason; and what is said when memory was not enough."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.unit.train_jobs.lora.bench_of_one import config_of
from thornback.errors import TrainingFailed
from train_jobs.common.choice import Choice
from train_jobs.lora.choices import GIB, Choices, Load, Machine, choose
from train_jobs.lora.memory import advice, explain_out_of_memory

CPU_NODE: dict[str, Any] = {
    "on_gpu": False,
    "has_bf16": False,
    "has_triton": False,
    "memory_bytes": 0,
    "cores": 8,
    "local_workers": 1,
    "world_size": 1,
}
GPU_NODE = {**CPU_NODE, "on_gpu": True, "has_bf16": True, "has_triton": True, "memory_bytes": 80 * GIB}
# FLUX.1 in bf16 at 1024²: 57 blocks of 3072 features, 4096 + 512 tokens.
FLUX: dict[str, Any] = {"base_bytes": 24 * GIB, "blocks": 57, "hidden": 3072, "tokens": 4608, "batch": 1}


def chosen(
    config: dict[str, Any] | None = None,
    machine: dict[str, Any] | None = None,
    load: dict[str, Any] | None = None,
    *,
    steps: int = 1000,
) -> Choices:
    return choose(
        config_of(**(config or {})), Machine(**GPU_NODE | (machine or {})), Load(**FLUX | (load or {})), steps=steps
    )


# 57 · 3072 · 4608 · 36 values of two bytes are 54.1 GiB; 80 GiB less a tenth and the base leave 48.
@pytest.mark.parametrize(
    ("config", "machine", "load", "on", "reason"),
    [
        ({}, {}, {}, True, "activations take about 54.1 GiB and 48.0 are free beside the base"),
        ({}, {"memory_bytes": 140 * GIB}, {}, False, "54.1 GiB and 102.0 are free"),
        ({}, {"memory_bytes": 140 * GIB}, {"batch": 2}, True, "108.2 GiB and 102.0 are free"),
        ({}, {"memory_bytes": 140 * GIB, "has_bf16": False}, {}, True, "108.2 GiB"),
        ({}, {}, {"tokens": 1536}, False, "18.0 GiB and 48.0"),
        ({}, {"memory_bytes": 20 * GIB}, {}, True, "and 0.0 are free"),
        ({"gradient_checkpointing": False}, {}, {}, False, "as configured"),
        ({"gradient_checkpointing": True}, {"memory_bytes": 200 * GIB}, {}, True, "as configured"),
        ({}, CPU_NODE, {}, False, "memory of a CPU is not counted"),
        # Half of the base is on the other device: 72 - 12 GiB are free.
        ({"strategy": "fsdp"}, {"world_size": 2}, {}, False, "and 60.0 are free"),
    ],
)
def test_checkpointing(config: Any, machine: Any, load: Any, on: bool, reason: str) -> None:
    choice = chosen(config, machine, load).checkpointing
    assert choice.on == on
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("config", "machine", "load", "on", "reason"),
    [
        ({}, {}, {"base_bytes": 100 * GIB}, False, "one worker"),
        ({}, {"world_size": 2}, {}, False, "the base takes 24.0 GiB of a device's 72.0"),
        ({}, {"world_size": 2}, {"base_bytes": 73 * GIB}, True, "takes 73.0 GiB and a device has 72.0"),
        ({"strategy": "ddp"}, {"world_size": 2}, {"base_bytes": 73 * GIB}, False, "as configured"),
        ({"strategy": "fsdp"}, {"world_size": 2}, {}, True, "as configured"),
        ({}, {**CPU_NODE, "world_size": 2}, {}, False, "the base fits"),
    ],
)
def test_sharding(config: Any, machine: Any, load: Any, on: bool, reason: str) -> None:
    choice = chosen(config, machine, load).shard
    assert (choice.on, reason in choice.reason) == (on, True)


@pytest.mark.parametrize(
    ("config", "machine", "steps", "on", "reason"),
    [
        ({}, {}, 1999, False, "1999 steps are too few"),
        ({}, {}, 2000, True, "2000 steps win back"),
        ({}, {"has_triton": False}, 9000, False, "triton is not installed"),
        ({}, CPU_NODE, 9000, False, "on a CPU"),
        ({"compile": True}, CPU_NODE, 1, True, "as configured"),
        ({"compile": False}, {}, 9000, False, "as configured"),
    ],
)
def test_compiling(config: Any, machine: Any, steps: int, on: bool, reason: str) -> None:
    choice = chosen(config, machine, steps=steps).compile
    assert (choice.on, reason in choice.reason) == (on, True)


def test_precision_and_threads() -> None:
    assert chosen().precision == "bf16"
    assert chosen(machine={"has_bf16": False}).precision == "fp32"
    assert chosen(machine=CPU_NODE).precision == "fp32"
    assert chosen({"precision": "bf16"}, CPU_NODE).facts()["precision"] == "bf16: as configured"
    assert chosen({"cpus_per_device": 6}).threads == 6
    assert chosen({"cpus_per_device": 6}, {"local_workers": 4}).threads == 2
    assert chosen({"cpus_per_device": 6}, {"local_workers": 9}).threads == 1


def test_advice_names_what_would_help_and_only_that() -> None:
    config = config_of(resolution=[512, 1024], batch_size=2, gradient_accumulation=3, devices=2)
    assert advice(config, chosen({"gradient_checkpointing": False})) == (
        "gradient_checkpointing: true (slower by a third or more); batch_size: 1 with gradient_accumulation: 6; "
        "resolution: [512]; quantize_base: int8 or nf4; strategy: fsdp"
    )
    everything = config_of(resolution=[512], quantize_base="nf4")
    assert advice(everything, chosen({"gradient_checkpointing": True})) == "a device with more memory"


@pytest.mark.parametrize(
    ("asked", "on", "in_training", "retry"),
    [
        (None, False, True, True),
        (None, True, True, False),
        (False, False, True, False),
        (None, False, False, False),
    ],
)
def test_out_of_memory_is_tried_once_more_where_checkpointing_is_left_to_us(
    asked: bool | None, on: bool, in_training: bool, retry: bool
) -> None:
    off = Choice(False, "a test")
    choices = Choices(
        precision="bf16",
        precision_reason="a test",
        checkpointing=Choice(on, "a test"),
        compile=off,
        shard=off,
        threads=1,
    )
    config = config_of(gradient_checkpointing=asked)
    with (
        pytest.raises(TrainingFailed, match=r"Tried to allocate 20 GiB.*To make it fit: ") as caught,
        explain_out_of_memory(config, choices, torch.device("cpu"), in_training=in_training),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore.")
    assert caught.value.details["retry_with_checkpointing"] is retry
    assert caught.value.details["reason"] == "out_of_memory"
