"""The end of a run: the LoRA file with its header, the configuration, and a list of what there is."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from thornback.artifacts.files import locate, without_secrets
from thornback.datasets.captioned import ImageIndex
from thornback.lora.header import Lineage
from train_jobs.lora.adapter import file_tensors, write_file
from train_jobs.lora.checkpoint import Weights
from train_jobs.lora.loop import Outcome
from train_jobs.lora.plan import RunPlan

FILE_DTYPE = torch.bfloat16
_MOST_CAPTIONS = 200
_NAME = "lora.safetensors"


def publish(plan: RunPlan, outcome: Outcome) -> dict[str, Any]:
    """Returns JSON-ready `artifacts`, `facts` and `summary`; the files are in the run's folder then."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        write_lora(plan, path, outcome.weights, step=outcome.step, epochs=outcome.epochs)
        artifacts = [_upload(plan, "lora", path)]
        config = Path(folder) / "config.json"
        config.write_text(json.dumps(plan.config.model_dump(mode="json"), indent=2, sort_keys=True))
        artifacts.append(_upload(plan, "report", config))
    artifacts.append({"name": "tensorboard", "type": "tensorboard", "uri": plan.tensorboard})
    summary = {
        "steps": outcome.step,
        "epochs": outcome.epochs,
        "seconds": round(outcome.seconds, 1),
        "lora": without_secrets(artifacts[0]["uri"]),
        **({} if outcome.best_loss is None else {"val_loss": outcome.best_loss, "best_step": outcome.best_step}),
    }
    facts = {"trigger_word": plan.config.trigger_word, "training_steps": outcome.step}
    return {"artifacts": artifacts, "facts": facts, "summary": summary}


def write_lora(plan: RunPlan, path: Path, weights: Weights, *, step: int, epochs: int) -> None:
    """The file of these weights."""
    scale = plan.config.effective_alpha / plan.config.rank
    tensors = file_tensors(weights, plan.base.model_family, scale=scale, dtype=FILE_DTYPE)
    write_file(path, tensors, lineage(plan, step=step, epochs=epochs))


def lineage(plan: RunPlan, *, step: int, epochs: int) -> Lineage:
    """What the LoRA was made of."""
    config, base, family = plan.config, plan.base, plan.base.model_family
    index = ImageIndex.from_json(locate(plan.index).read_bytes())
    captions = Counter(image.caption for image in index.images if image.caption)
    side = max(config.resolution)
    return Lineage(
        family=family.name,
        architecture=family.architecture,
        base_version=family.base_version,
        title=plan.job_name,
        trigger_word=config.trigger_word,
        rank=config.rank,
        alpha=config.effective_alpha,
        steps=step,
        epochs=epochs,
        learning_rate=config.learning_rate,
        seed=config.seed,
        resolution=(side, side),
        batch_size=config.batch_size * config.gradient_accumulation * config.devices,
        base_model=config.base_model,
        base_revision=base.revision,
        base_licence=base.licence,
        dataset_sha256=index.sha256,
        images=len(index.images),
        captions=dict(captions.most_common(_MOST_CAPTIONS)),
        job_id=plan.job_id,
        config=config.model_dump(mode="json"),
        made_at=datetime.now(UTC),
        component=family.denoiser,
    )


def _upload(plan: RunPlan, type: str, path: Path) -> dict[str, Any]:
    uri = plan.file(path.name)
    locate(uri).upload(path)
    content = path.read_bytes()
    return {
        "name": path.name,
        "type": type,
        "uri": uri,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
