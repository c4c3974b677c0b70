from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open

from tests.unit.train_jobs.helpers import TINY, small_config
from thornback.errors import TrainingFailed
from train_jobs.convnext.export import MODEL_FILE, ONNX_FILE, compare, export
from train_jobs.convnext.frontend import LogMel
from train_jobs.convnext.model import Classifier, build_backbone

CLASSES = ("high", "low", "größer")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Classifier]:
    """Both files of a small network with random weights, and the network."""
    folder = tmp_path_factory.mktemp("exported")
    config = small_config("x")
    torch.manual_seed(0)
    backbone = build_backbone(config, 3, model_kwargs=TINY)
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # a fresh network answers the same whatever it hears
    weights = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    clips = np.random.default_rng(0).normal(0, 0.2, (3, 2000)).astype(np.float32)
    model, graph = export(folder, config, CLASSES, weights, clips, model_kwargs=TINY)
    assert (model.size_bytes, graph.size_bytes) == (
        (folder / MODEL_FILE).stat().st_size,
        (folder / ONNX_FILE).stat().st_size,
    )
    assert len(model.sha256) == 64
    return folder, Classifier(LogMel(config), backbone).eval()


def test_onnx_hears_what_torch_hears_in_batches_of_any_size(exported: tuple[Path, Classifier]) -> None:
    folder, classifier = exported
    session = onnxruntime.InferenceSession(str(folder / ONNX_FILE), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    answers = []
    for batch in (1, 2, 7):
        wave = rng.normal(0, 10 ** rng.uniform(-3, 0), (batch, 2000)).astype(np.float32)
        (found,) = session.run(["probabilities"], {"waveform": wave})
        with torch.inference_mode():
            expected = classifier(torch.from_numpy(wave)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
        answers.append(found)
    assert np.concatenate(answers).std(axis=0).max() > 0.01  # it does listen


def test_both_files_carry_labels_and_front_end(exported: tuple[Path, Classifier]) -> None:
    folder, _ = exported
    with safe_open(folder / MODEL_FILE, framework="pt") as file:
        weights = file.metadata()
    graph = {item.key: item.value for item in onnx.load(folder / ONNX_FILE).metadata_props}
    for metadata in (weights, graph):
        assert json.loads(metadata["labels"]) == list(CLASSES)
        assert (metadata["sample_rate"], metadata["samples"], metadata["n_mels"]) == ("4000", "2000", "32")
        assert metadata["architecture"] == "convnext_atto"
    assert [path.name for path in sorted(folder.iterdir())] == [ONNX_FILE, MODEL_FILE]  # no data beside the graph


def test_a_graph_that_answers_otherwise_is_not_published(exported: tuple[Path, Classifier]) -> None:
    folder, _ = exported
    config = small_config("x")
    torch.manual_seed(5)
    backbone = build_backbone(config, 3, model_kwargs=TINY)
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    other = Classifier(LogMel(config), backbone).eval()
    clips = np.random.default_rng(0).normal(0, 0.2, (2, 2000)).astype(np.float32)
    with pytest.raises(TrainingFailed, match="differs from the model"):
        compare(other, folder / ONNX_FILE, clips)
