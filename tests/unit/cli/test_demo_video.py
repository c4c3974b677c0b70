"""What demo --video orders. The whole of it runs in tests/integration/node."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from serve_apps.api.remote_specs import check_spec
from thornback.cli import demo_video
from thornback.errors import InvalidInput
from thornback.jobs.spec import LoraSpec, VideoLoraSpec, parse_spec
from thornback.providers.catalogue import load_catalogue
from thornback.settings import Settings


def test_the_demo_orders_what_the_platform_takes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    spec = parse_spec(demo_video.video_spec(tmp_path / "fish.mp4", tmp_path / "tiny-flux"))
    check_spec(spec, settings, load_catalogue(settings))
    assert isinstance(spec, VideoLoraSpec)
    training = spec.training("set.zip")
    assert isinstance(training, LoraSpec)
    assert (training.config.steps, training.config.accelerator) == (demo_video.STEPS, "cpu")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    demo_video.check_installed()
    found = importlib.util.find_spec

    def find(name: str) -> object:
        return None if name == "av" else found(name)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(InvalidInput, match=r"pip install 'thornback\[video\]'"):
        demo_video.check_installed()
