from __future__ import annotations

import pytest

from thornback.jobs.convnext import TrainingConfig
from train_jobs.convnext.choices import COMPILE_FROM_IMAGES, Choices, Machine, choose

CPU = Machine(on_gpu=False, has_bf16=False, has_triton=True, cores=8, local_workers=1)
GPU = Machine(on_gpu=True, has_bf16=True, has_triton=True, cores=8, local_workers=1)
OLD_GPU = Machine(on_gpu=True, has_bf16=False, has_triton=False, cores=8, local_workers=1)


def switches(choices: Choices) -> tuple[bool, bool, bool]:
    return choices.amp.on, choices.channels_last.on, choices.compile.on


@pytest.mark.parametrize(
    ("machine", "images", "expected"),
    [
        (CPU, 10**9, (False, False, False)),
        (GPU, 10**9, (True, True, True)),
        (GPU, COMPILE_FROM_IMAGES - 1, (True, True, False)),
        (OLD_GPU, 10**9, (False, True, False)),
    ],
)
def test_what_is_left_open_follows_the_machine(
    machine: Machine, images: int, expected: tuple[bool, bool, bool]
) -> None:
    choices = choose(TrainingConfig(), machine, images=images)
    assert switches(choices) == expected
    assert all(len(reason) > 10 for reason in choices.facts().values() if ":" in reason)


@pytest.mark.parametrize("machine", [CPU, GPU, OLD_GPU])
@pytest.mark.parametrize("value", [True, False])
def test_what_is_configured_is_done(machine: Machine, value: bool) -> None:
    choices = choose(TrainingConfig(amp=value, channels_last=value, compile=value), machine, images=1)
    assert switches(choices) == (value, value, value)
    assert choices.amp.reason == "as configured"


@pytest.mark.parametrize(
    ("cores", "workers", "cpus_per_device", "threads", "processes"),
    [
        (2, 1, 1, 1, 1),  # one core trains, one loads
        (2, 2, 1, 1, 0),  # as many workers as cores: nothing left for loader processes
        (2, 4, 1, 1, 0),
        (8, 1, 4, 4, 4),
        (8, 2, 8, 4, 3),  # 8 reserved each, but there are only 4 for each
    ],
)
def test_cpu_workers_share_the_cores(
    cores: int, workers: int, cpus_per_device: int, threads: int, processes: int
) -> None:
    machine = Machine(on_gpu=False, has_bf16=False, has_triton=False, cores=cores, local_workers=workers)
    choices = choose(TrainingConfig(cpus_per_device=cpus_per_device), machine, images=1)
    assert (choices.threads, choices.loader_processes) == (threads, processes)
