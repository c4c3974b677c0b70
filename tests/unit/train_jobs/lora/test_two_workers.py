"""Two processes, with a copy of the base each or with half of it, are one process with twice the batch."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing

from tests.fixtures.ray import free_port
from tests.unit.train_jobs.lora import two_workers
from tests.unit.train_jobs.lora.bench_of_one import config_of, run
from tests.unit.train_jobs.lora.test_families import base_of

# Names of the job -> family, whether the base is spread.
JOBS = {"flux1-ddp": ("flux1", False), "flux1-fsdp": ("flux1", True), "sd15-ddp": ("sd15", False)}

COMMON = {
    "steps": 4,
    "gradient_accumulation": 2,
    "ema_decay": 0.5,
    "validate_every": 2,
    "learning_rate": 0.01,
    "flip": True,
    "caption_dropout": 0.3,
    "validation_split": 0.2,
    "sample_steps": 2,
}


def is_close(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal but for rounding. Adam makes whole steps of the tiniest gradients, so single elements tell nothing."""
    return bool((one - other).norm() <= 1e-3 * other.norm())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models, and what two processes made of them: the imports of a process are most of the time."""
    folder = tmp_path_factory.mktemp("models")
    for family in ("flux1", "sd15"):
        base_of(folder, family)
    config = config_of(**COMMON, batch_size=1, devices=2)
    jobs = [(name, family, config, shard) for name, (family, shard) in JOBS.items()]
    multiprocessing.set_forkserver_preload([two_workers.__name__])  # its imports are paid once
    processes: Any = torch.multiprocessing
    processes.start_processes(
        two_workers.work, args=(free_port(), str(folder), jobs), nprocs=2, start_method="forkserver"
    )
    return folder


def test_an_elastic_run_of_one_worker_is_the_run_of_two(folder: Path) -> None:
    one, _, rows, _ = run(folder, "flux1", config_of(**COMMON, batch_size=1, devices=2))
    two = torch.load(folder / "flux1-ddp-0.pt", weights_only=True)
    for key, tensor in two["weights"].items():
        assert is_close(one.learner.weights()[key], tensor), key
    for (_, _, found), (_, _, wanted) in zip(rows.rows, two["rows"], strict=True):
        assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", JOBS)
def test_two_workers_are_one_with_twice_the_batch(name: str, folder: Path) -> None:
    family, shard = JOBS[name]
    one, _, rows, outcome = run(folder, family, config_of(**COMMON, batch_size=2))
    first, second = (torch.load(folder / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["kind"].startswith("FSDP") == shard
    expected: Any = one.learner.weights()
    for key, tensor in expected.items():
        assert torch.equal(first["weights"][key], second["weights"][key]), key
        assert is_close(first["weights"][key], tensor), key
        assert is_close(first["averaged"][key], one.learner.averaged[key]), key
        assert is_close(first["published"][key], outcome.weights[key]), key
    # It would hold as well if nothing were trained.
    assert any(tensor.abs().max() > 0.01 for key, tensor in expected.items() if "lora_B" in key)
    drawn = two_workers.picture(folder, family, one).float()
    assert drawn.std() > 1
    assert (first["picture"] - drawn).abs().mean() < 0.5
    assert torch.equal(first["picture"], second["picture"])
    assert (first["saved"], second["saved"]) == (["step-00000004"], [])
    assert [row[:2] for row in first["rows"]] == [row[:2] for row in rows.rows]
    for (_, _, found), (_, _, wanted) in zip(first["rows"], rows.rows, strict=True):
        assert found == pytest.approx(wanted, rel=1e-4)
