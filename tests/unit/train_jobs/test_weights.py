from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import get_pretrained_cfg

from tests.fixtures.ray import free_port
from tests.unit.train_jobs.helpers import TINY, small_config
from thornback.errors import WeightsUnavailable
from train_jobs.convnext.model import build_backbone
from train_jobs.convnext.plan import RunFolder
from train_jobs.convnext.weights import HUB_FILE, HUB_REPOSITORY, provide_weights


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub cache of its own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet-like weights of the small network: three colours, 1000 classes."""
    torch.manual_seed(1)
    model = timm.create_model("convnext_atto", num_classes=1000, **TINY)
    path = tmp_path_factory.mktemp("weights") / "rgb.safetensors"
    save_file(model.state_dict(), path)
    return path


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for one file."""

    content = b""
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        found = self.path == "/" or self.path == f"/{HUB_REPOSITORY['convnext_atto']}/resolve/main/{HUB_FILE}"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.end_headers()
        if body and found:
            self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def hub(weights_file: Path) -> Iterator[tuple[str, list[str]]]:
    """A hub on loopback and what it was asked."""
    asked: list[str] = []
    handler = type("OneFileHub", (Hub,), {"content": weights_file.read_bytes(), "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_table_is_timms_own() -> None:
    configs = {name: get_pretrained_cfg(name) for name in HUB_REPOSITORY}
    assert {name: config.hf_hub_id for name, config in configs.items() if config} == HUB_REPOSITORY


def test_none_are_fetched_where_none_are_wanted(tmp_path: Path) -> None:
    assert provide_weights(small_config("x", pretrained=False), RunFolder(uri=str(tmp_path))) is None


@pytest.mark.usefixtures("no_cache")
def test_weights_come_from_the_hub_once(tmp_path: Path, hub: tuple[str, list[str]]) -> None:
    endpoint, asked = hub
    config, folder = small_config("x", pretrained=True), RunFolder(uri=str(tmp_path / "run"))
    first = provide_weights(config, folder, endpoint=endpoint)
    assert first == str(tmp_path / "run" / "pretrained.safetensors")
    count = len(asked)
    assert count >= 2
    assert provide_weights(config, folder, endpoint=endpoint) == first
    assert len(asked) == count
    backbone = build_backbone(config, 3, pretrained_uri=first, model_kwargs=TINY)
    assert backbone.get_parameter("stem.0.weight").shape == (8, 1, 4, 4)


@pytest.mark.usefixtures("no_cache")
def test_a_hub_that_is_not_there_fails_at_once_and_names_both_ways_out(tmp_path: Path) -> None:
    began = time.monotonic()
    endpoint = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(WeightsUnavailable, match="pretrained_path, or set pretrained to false"):
        provide_weights(small_config("x", pretrained=True), RunFolder(uri=str(tmp_path)), endpoint=endpoint)
    assert time.monotonic() - began < 8


@pytest.mark.usefixtures("no_cache")
def test_a_hub_without_the_file_is_told_apart_from_a_crash(tmp_path: Path, hub: tuple[str, list[str]]) -> None:
    config = small_config("x", pretrained=True, model_architecture="convnext_nano")
    with pytest.raises(WeightsUnavailable, match="convnext_nano"):
        provide_weights(config, RunFolder(uri=str(tmp_path)), endpoint=hub[0])


def test_colours_of_the_stem_are_summed(tmp_path: Path, weights_file: Path) -> None:
    config = small_config("x", pretrained=True, pretrained_path=str(weights_file))
    uri = provide_weights(config, RunFolder(uri=str(tmp_path)))
    backbone = build_backbone(config, 3, pretrained_uri=uri, model_kwargs=TINY)
    from safetensors.torch import load_file

    rgb = load_file(weights_file)
    torch.testing.assert_close(
        backbone.get_parameter("stem.0.weight").data, rgb["stem.0.weight"].sum(dim=1, keepdim=True)
    )
    torch.testing.assert_close(
        backbone.get_parameter("stages.2.blocks.0.mlp.fc1.weight").data, rgb["stages.2.blocks.0.mlp.fc1.weight"]
    )


def test_a_pth_file_works_as_well(tmp_path: Path, weights_file: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(weights_file), tmp_path / "w.pth")
    config = small_config("x", pretrained=True, pretrained_path=str(tmp_path / "w.pth"))
    uri = provide_weights(config, RunFolder(uri=str(tmp_path / "run")))
    assert uri is not None
    assert uri.endswith("pretrained.pth")
    build_backbone(config, 3, pretrained_uri=uri, model_kwargs=TINY)


def test_files_that_are_missing_broken_or_of_another_network_are_refused(tmp_path: Path, weights_file: Path) -> None:
    folder = RunFolder(uri=str(tmp_path / "run"))
    config = small_config("x", pretrained=True, pretrained_path=str(tmp_path / "gone.safetensors"))
    with pytest.raises(WeightsUnavailable, match=r"gone\.safetensors cannot be read"):
        provide_weights(config, folder)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    with pytest.raises(WeightsUnavailable, match="do not fit convnext_atto"):
        build_backbone(config, 3, pretrained_uri=str(broken), model_kwargs=TINY)
    with pytest.raises(WeightsUnavailable, match="do not fit convnext_atto"):
        build_backbone(config, 3, pretrained_uri=str(weights_file))
