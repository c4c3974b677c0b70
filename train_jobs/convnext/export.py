"""The best model as two files: weights with everything needed to use them, and ONNX from sound to answer.

The ONNX graph holds the front end too: a caller gives samples and gets probabilities, and cannot get
the mel parameters wrong. It is compared with torch on real clips before anybody hears of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from thornback.errors import TrainingFailed
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.status import FailureReason
from train_jobs.convnext.checkpoint import Weights
from train_jobs.convnext.frontend import TOP_DB, LogMel
from train_jobs.convnext.model import Classifier, build_backbone

MODEL_FILE = "model.safetensors"
ONNX_FILE = "model.onnx"
TOLERANCE = 1e-4  # between torch's and onnxruntime's probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """A file and how to recognise it."""

    path: Path
    size_bytes: int
    sha256: str


def export(
    folder: Path,
    config: TrainingConfig,
    classes: tuple[str, ...],
    weights: Weights,
    clips: NDArray[np.float32],
    *,
    model_kwargs: Mapping[str, Any] | None = None,
) -> tuple[ExportedFile, ExportedFile]:
    """Write both files into `folder`.

    Args:
        folder: an existing one.
        config: of the run.
        classes: labels in the order of the outputs.
        weights: of the best epoch.
        clips: [n, samples], n >= 1, to compare the two on.
        model_kwargs: as in training.

    Raises:
        TrainingFailed: torch and onnxruntime disagree.
    """
    backbone = build_backbone(config, len(classes), model_kwargs=model_kwargs)
    backbone.load_state_dict(weights)
    classifier = Classifier(LogMel(config), backbone).eval()
    metadata = describe_model(config, classes)
    save_file(dict(weights), folder / MODEL_FILE, metadata={"format": "pt", **metadata})
    _export_onnx(classifier, torch.from_numpy(clips[:1]), folder / ONNX_FILE, metadata)
    compare(classifier, folder / ONNX_FILE, clips)
    return _describe(folder / MODEL_FILE), _describe(folder / ONNX_FILE)


def describe_model(config: TrainingConfig, classes: tuple[str, ...]) -> dict[str, str]:
    """What a user of the model has to know; safetensors and ONNX hold text only."""
    return {
        "labels": json.dumps(classes, ensure_ascii=False),
        "architecture": config.model_architecture,
        "input": "waveform [batch, samples], float32, mono, about -1 to 1",
        "output": "probabilities [batch, labels]",
        "sample_rate": str(config.sample_rate),
        "samples": str(round(config.clip_seconds * config.sample_rate)),
        "n_mels": str(config.n_mels),
        "n_fft": str(config.n_fft),
        "hop_length": str(config.hop_length),
        "top_db": str(TOP_DB),
        "normalization": "each clip's log-mel spectrogram to mean 0 and deviation 1",
    }


def compare(classifier: Classifier, onnx_file: Path, clips: NDArray[np.float32]) -> float:
    """The largest difference between torch's and onnxruntime's probabilities.

    Raises:
        TrainingFailed: it is more than TOLERANCE, for the whole batch or for one clip alone.
    """
    import onnxruntime  # here and not above: only the end of a run needs it

    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in (clips, clips[:1]):
        with torch.inference_mode():
            expected = classifier(torch.from_numpy(batch)).numpy()
        (found,) = session.run(None, {"waveform": batch})
        largest = max(largest, float(np.abs(found - expected).max()))
    if not largest <= TOLERANCE:  # also where it is NaN
        raise TrainingFailed(
            f"the ONNX file differs from the model by {largest:.2e}, more than {TOLERANCE:.0e}; it is not published",
            reason=FailureReason.EXCEPTION.value,
            retryable=False,
        )
    return largest


def _export_onnx(classifier: Classifier, example: torch.Tensor, path: Path, metadata: Mapping[str, str]) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own deprecations; the result is compared below
        program = torch.onnx.export(
            classifier,
            (example.repeat(2, 1),),  # a batch of one would be taken for a constant
            dynamo=True,
            dynamic_shapes={"waveform": {0: torch.export.Dim.DYNAMIC}},
            input_names=["waveform"],
            output_names=["probabilities"],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    program.model.metadata_props.update(metadata)
    program.save(str(path), external_data=False)


def _describe(path: Path) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportedFile(path=path, size_bytes=path.stat().st_size, sha256=digest)
