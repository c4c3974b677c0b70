"""The end of a run: export the best model, write the report, and list what there is."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thornback.artifacts.files import join, locate, without_secrets
from thornback.datasets import AudioDataset
from thornback.datasets.source import BrokenClip, ClipSource
from train_jobs.convnext.checkpoint import read_best
from train_jobs.convnext.data import CENTRE, fit_length
from train_jobs.convnext.examples import example_files
from train_jobs.convnext.export import ExportedFile, export
from train_jobs.convnext.loop import Outcome
from train_jobs.convnext.plan import RunPlan
from train_jobs.convnext.report import report_files
from train_jobs.convnext.state import Best

COMPARED_CLIPS = 4  # that torch and onnxruntime have to agree on
EXAMPLES = "examples"


def publish(plan: RunPlan, dataset: AudioDataset, outcome: Outcome) -> dict[str, Any]:
    """Returns JSON-ready `artifacts`, `facts` and `summary`; the files are in the run's folder then."""
    if outcome.best is None:
        raise RuntimeError("a finished run has a best epoch")
    torch.set_num_threads(1)  # the driver has no CPU of its own
    checkpoint = join(plan.folder.train, f"epoch-{outcome.epochs:04d}")
    with tempfile.TemporaryDirectory() as folder:
        model, onnx = export(
            Path(folder),
            plan.config,
            dataset.classes,
            read_best(locate(checkpoint)),
            _clips(plan, dataset),
            model_kwargs=plan.model_kwargs,
        )
        artifacts = [_upload(plan, "model", model), _upload(plan, "onnx", onnx)]
    summary = _summary(outcome, outcome.best, onnx_uri=without_secrets(artifacts[1]["uri"]))
    for name, content in report_files(dataset.classes, outcome.best, outcome.test, summary).items():
        artifacts.append(_write(plan, name, content))
    artifacts += _examples(plan, dataset, outcome)
    artifacts.append({"name": "tensorboard", "type": "tensorboard", "uri": plan.folder.tensorboard})
    return {"artifacts": artifacts, "facts": _facts(dataset, outcome, outcome.best), "summary": summary}


def _examples(plan: RunPlan, dataset: AudioDataset, outcome: Outcome) -> list[dict[str, Any]]:
    """A folder of clips to listen to; none where nothing was held out."""
    if not outcome.heard:
        return []
    uri = plan.folder.artifact(EXAMPLES)
    clips = [*dataset.train, *dataset.val]  # in the order in which the loop counts them
    size = 0
    for name, content in example_files(
        outcome.heard, clips, dataset.classes, dataset.root, plan.config, near=plan.near
    ):
        locate(join(uri, name)).write_bytes(content)
        size += len(content)
    return [{"name": EXAMPLES, "type": EXAMPLES, "uri": uri, "size_bytes": size}]


def _clips(plan: RunPlan, dataset: AudioDataset) -> NDArray[np.float32]:
    """Some real clips: [n, samples]. Noise where none can be read any more."""
    config = plan.config
    samples = round(config.clip_seconds * config.sample_rate)
    source = ClipSource(dataset.root, plan.near)
    waves = []
    for clip in (*dataset.val, *dataset.train):
        try:
            waves.append(fit_length(source.read(clip, config.sample_rate), samples, CENTRE))
        except BrokenClip:
            continue
        if len(waves) == COMPARED_CLIPS:
            break
    if not waves:
        waves = list(np.random.default_rng(0).normal(0, 0.1, (COMPARED_CLIPS, samples)).astype(np.float32))
    return np.stack(waves)


def _summary(outcome: Outcome, best: Best, *, onnx_uri: str) -> dict[str, Any]:
    held_out = bool(best.confusion)
    summary = {
        "epochs": outcome.epochs,
        "best_epoch": best.epoch,
        "val_loss" if held_out else "train_loss": best.loss,
        "val_accuracy" if held_out else "train_accuracy": best.accuracy,
        **({"macro_f1": best.macro_f1} if held_out else {}),
        "onnx": onnx_uri,
        "seconds": round(outcome.seconds, 1),
        "images_per_second": round(outcome.images / max(outcome.seconds, 1e-9), 1),
    }
    if outcome.test is not None:
        summary |= {
            "test_loss": outcome.test.loss,
            "test_accuracy": outcome.test.accuracy,
            "test_macro_f1": outcome.test.macro_f1,
        }
    return summary


def _facts(dataset: AudioDataset, outcome: Outcome, best: Best) -> dict[str, Any]:
    facts: dict[str, Any] = {"chance": round(1 / len(dataset.classes), 4)}
    if best.confusion:
        facts |= {
            "val_accuracy": best.accuracy,
            "macro_f1": best.macro_f1,
            "per_class_recall": dict(zip(dataset.classes, best.recall, strict=True)),
            "confusion_matrix": best.confusion,
        }
    if outcome.test is not None:
        facts["test"] = asdict(outcome.test)
    return facts


def _upload(plan: RunPlan, type: str, file: ExportedFile) -> dict[str, Any]:
    uri = plan.folder.artifact(file.path.name)
    locate(uri).upload(file.path)
    return {
        "name": file.path.name,
        "type": type,
        "uri": uri,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
    }


def _write(plan: RunPlan, name: str, content: bytes) -> dict[str, Any]:
    uri = plan.folder.artifact(name)
    locate(uri).write_bytes(content)
    return {
        "name": name,
        "type": "report",
        "uri": uri,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
