"""LoRA trainings through Ray Train on a tiny FLUX.1: whole runs, lost workers, ends on request."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.fixtures.ray import RayNode
from tests.fixtures.tiny_models import build
from tests.integration.train.rig import DriverStory, in_background, wait_until, worker_pids
from tests.unit.datasets.image_sets import SET_ID, image_set
from tests.unit.datasets.pictures_made import picture
from thornback.jobs.events import Attempt
from thornback.jobs.own_lora import LoraConfig
from thornback.jobs.spec import LoraSpec
from thornback.jobs.status import FailureReason
from thornback.settings import Settings
from train_jobs.common.console import ConsoleReporter
from train_jobs.common.launch import Launcher
from train_jobs.lora.driver import LoraDriver

pytestmark = pytest.mark.timeout(600)

IMAGES = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return build("flux1", tmp_path_factory.mktemp("models") / "flux1")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(IMAGES):
        (folder / f"{number}.png").write_bytes(picture("PNG", (64 + number, 64)))
        (folder / f"{number}.txt").write_text(f"[trigger] number {number}")
    return folder


def config_of(model: Path, images: Path | str, **changes: Any) -> LoraConfig:
    values = {
        "base_model": str(model),
        "dataset": str(images),
        "trigger_word": "TOK",
        "resolution": [64],
        "rank": 4,
        "alpha": 8.0,
        "steps": 4,
        "learning_rate": 0.01,
        "validation_split": 0.25,
        "validate_every": 2,
        "save_every": 2,
        "log_every_steps": 1,
        "sample_steps": 1,
        "accelerator": "cpu",
    }
    return LoraConfig.model_validate({**values, **changes})


def make(config: LoraConfig, folder: Path, settings: Settings, story: DriverStory) -> LoraDriver:
    return LoraDriver(
        spec=LoraSpec(kind="lora", job_name="test", config=config),
        settings=settings,
        run_uri=str(folder),
        reporter=ConsoleReporter(story, is_captured=False),
    )


def lora_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "lora.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def loads_in_diffusers(model: Path, file: Path) -> bool:
    """True where the file changes what the pipeline draws."""
    from diffusers import FluxPipeline

    pipe: Any = FluxPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)

    def draw() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        drawn = pipe("TOK", height=64, width=64, num_inference_steps=1, generator=generator, output_type="pt")
        return torch.as_tensor(drawn.images)

    before = draw()
    pipe.load_lora_weights(str(file))
    return not torch.equal(before, draw())


def test_a_run_leaves_all_it_should(ray_node: RayNode, model: Path, images: Path, tmp_path: Path) -> None:
    settings = ray_node.settings(tmp_path / "home")
    folder, story = tmp_path / "run", DriverStory()
    config = config_of(model, images, sample_prompts=["a picture of [trigger]"])
    assert make(config, folder, settings, story).main() == 0, story.end
    assert story.end is not None
    assert story.end[0] == "succeeded"
    assert story.end[1]["steps"] == 4
    assert story.stages == ["looking for the base model", "checking data", "starting workers", "exporting"]
    assert (story.facts["train_samples"], story.facts["val_samples"]) == (3, 1)

    with safe_open(folder / "lora.safetensors", "pt") as file:
        header = file.metadata()
    assert header["ss_network_dim"] == "4"
    assert "TOK" in json.dumps(header)
    assert loads_in_diffusers(model, folder / "lora.safetensors")
    assert json.loads((folder / "config.json").read_text())["rank"] == 4
    assert (folder / "samples" / "sample-00000004-0.png").exists()
    assert list((folder / "tensorboard").iterdir())
    assert [path.name for path in (folder / "loras").iterdir()] == ["lora-step-00000002.safetensors"]
    assert {"lora.safetensors", "config.json", "tensorboard"} <= story.artifacts.keys()
    # captions, the empty one and the prompt; crops; statistics
    assert len(cached(settings)) == (IMAGES + 2) + IMAGES + 1


@pytest.mark.slow
def test_a_second_run_encodes_nothing(ray_node: RayNode, model: Path, images: Path, tmp_path: Path) -> None:
    settings = ray_node.settings(tmp_path / "home")
    config = config_of(model, images, sample_prompts=["a picture of [trigger]"])
    first, again = DriverStory(), DriverStory()
    assert make(config, tmp_path / "first", settings, first).main() == 0, first.end
    encoded = cached(settings)
    assert make(config.model_copy(update={"steps": 2}), tmp_path / "second", settings, again).main() == 0, again.end
    assert cached(settings) == encoded


def cached(settings: Settings) -> dict[str, int]:
    """Files of the cache and when they were written."""
    root = Path(settings.cache_uri("lora"))
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_what_cannot_work_takes_no_worker(
    ray_node: RayNode, model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Launcher, plan: Any) -> None:
        raise AssertionError("workers were asked for")

    monkeypatch.setattr(Launcher, "fit", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cases: list[tuple[dict[str, Any], FailureReason, str]] = [
        ({"base_model": str(tmp_path / "nothing")}, FailureReason.WEIGHTS_UNAVAILABLE, "neither a folder"),
        (
            {"base_model": "some-body/some-model"},
            FailureReason.WEIGHTS_UNAVAILABLE,
            "'some-body/some-model' is neither",
        ),
        ({"base_model": str(images)}, FailureReason.WEIGHTS_UNAVAILABLE, "holds no readable model_index.json"),
        ({"dataset": str(tmp_path / "nothing")}, FailureReason.INVALID_DATA, "config.dataset: "),
        ({"regularisation": str(tmp_path)}, FailureReason.INVALID_DATA, "config.regularisation: "),
        ({"masks": str(tmp_path / "nothing")}, FailureReason.INVALID_DATA, "config.masks: "),
        ({"resolution": [128]}, FailureReason.INVALID_DATA, "config.resolution: every image is smaller"),
        ({"dataset": f"job:{SET_ID}"}, FailureReason.INVALID_DATA, "known to the platform only"),
    ]
    for number, (changes, reason, text) in enumerate(cases):
        story = DriverStory()
        config = config_of(model, **{"images": images, **changes})
        assert make(config, tmp_path / str(number), ray_node.settings(tmp_path / "home"), story).main() == 1
        assert story.end is not None
        assert story.end[:2] == ("failed", reason)
        assert text in story.end[2]


def test_an_image_set_is_trained_on_with_its_prompts(ray_node: RayNode, model: Path, tmp_path: Path) -> None:
    settings = ray_node.settings(tmp_path / "home")
    reader = image_set(settings.storage, ["Mira at the sea", "Mira asleep", "Mira and TOK"], failed=frozenset({2}))
    config = config_of(model, f"job:{SET_ID}", upscale=True, validation_split=0.0)
    driver = make(config, tmp_path / "run", settings, DriverStory())
    driver.read_job = lambda job_id: reader.job(job_id).state
    plan = driver.prepare()
    index = json.loads(Path(plan.index).read_bytes())
    assert {image["name"]: image["caption"] for image in index["images"]} == {
        "Mira_training_01.jpg": "TOK, Mira at the sea",
        "Mira_training_03.jpg": "Mira and TOK",
    }
    assert index["source"] == f"job:{SET_ID}"


def test_masks_and_other_images_of_the_class(ray_node: RayNode, model: Path, images: Path, tmp_path: Path) -> None:
    others, masks = tmp_path / "others", tmp_path / "masks"
    for folder in (others, masks):
        folder.mkdir()
    (others / "x.png").write_bytes(picture("PNG", (80, 80)))
    (others / "x.txt").write_text("a dog")
    (masks / "1.png").write_bytes(picture("PNG", (65, 64), mode="L"))
    config = config_of(model, images, regularisation=str(others), masks=str(masks))
    plan = make(config, tmp_path / "run", ray_node.settings(tmp_path / "home"), DriverStory()).prepare()
    regular = json.loads(Path(plan.regularisation_index).read_bytes())
    assert [image["caption"] for image in regular["images"]] == ["a dog"]
    index = json.loads(Path(plan.index).read_bytes())
    assert [image["mask"] for image in index["images"]] == [None, "1.png", None, None]
    assert index["masks"] == str(masks)


@pytest.fixture(scope="module")
def undisturbed(
    ray_node: RayNode, model: Path, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    """The LoRA of a longer run that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = config_of(model, images, **LONG)
    assert make(config, folder / "run", ray_node.settings(folder / "home"), DriverStory()).main() == 0
    return lora_of(folder / "run")


LONG = {"steps": 60, "save_every": 5, "validate_every": 10, "dropout": 0.2, "ema_decay": 0.9, "crops": 4, "flip": True}


def _text(run: Path, cache: Path) -> Any:
    return next(cache.glob("text/*/*.safetensors"), None)


def _images(run: Path, cache: Path) -> Any:
    return len(list(cache.glob("images/*/*/*.safetensors"))) >= 2


def _training(run: Path, cache: Path) -> Any:
    return (run / "train" / "step-00000010" / "state.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("reached", [_text, _images, _training])
def test_a_worker_killed_in_any_phase_costs_nothing_but_time(
    ray_node: RayNode,
    model: Path,
    images: Path,
    tmp_path: Path,
    undisturbed: dict[str, torch.Tensor],
    reached: Callable[[Path, Path], Any],
) -> None:
    settings, folder, story = ray_node.settings(tmp_path / "home"), tmp_path / "run", DriverStory()
    cache = Path(settings.cache_uri("lora"))

    def kill() -> None:
        wait_until(lambda: reached(folder, cache) or story.end, "phase")
        for pid in worker_pids(ray_node):
            os.kill(pid, signal.SIGKILL)

    with in_background(kill):
        code = make(config_of(model, images, **LONG), folder, settings, story).main()
    assert code == 0, story.end
    assert [(attempt, reason) for attempt, reason, _ in story.retries] == [(Attempt(1, 1), FailureReason.WORKER_LOST)]
    assert same(lora_of(folder), undisturbed)


@pytest.mark.slow
def test_a_cancelled_run_leaves_a_checkpoint_and_goes_on(
    ray_node: RayNode, model: Path, images: Path, tmp_path: Path, undisturbed: dict[str, torch.Tensor]
) -> None:
    settings, folder, story = ray_node.settings(tmp_path / "home"), tmp_path / "run", DriverStory()
    config = config_of(model, images, **LONG)
    driver = make(config, folder, settings, story)
    launcher = driver.launcher()
    driver.launcher = lambda: launcher  # type: ignore[method-assign]

    def cancel() -> None:
        wait_until(lambda: _training(folder, folder) or story.end, "tenth step")
        launcher._on_signal(signal.SIGTERM, None)

    with in_background(cancel):
        assert driver.main() == 128 + signal.SIGTERM
    assert story.end is None
    assert not (folder / "lora.safetensors").exists()
    assert any((path / "state.json").exists() for path in (folder / "train").glob("step-*"))
    assert make(config, folder, settings, DriverStory()).main() == 0
    assert same(lora_of(folder), undisturbed)


def _short_of_memory(job: dict[str, Any]) -> Any:
    """A worker whose first step fails for want of memory unless it checkpoints."""
    from train_jobs.lora.learner import Learner
    from train_jobs.lora.ray_worker import run_worker

    step = Learner.step

    def starved(self: Learner, *args: Any, **options: Any) -> Any:
        model: Any = self.denoiser
        if not model.is_gradient_checkpointing:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return step(self, *args, **options)

    Learner.step = starved  # type: ignore[method-assign]
    return run_worker(job)


@pytest.mark.slow
def test_out_of_memory_goes_on_once_with_checkpointing(
    ray_node: RayNode, model: Path, images: Path, tmp_path: Path
) -> None:
    settings, story = ray_node.settings(tmp_path / "home"), DriverStory()
    driver = make(config_of(model, images), tmp_path / "auto", settings, story)
    driver.launcher = lambda: Launcher(_short_of_memory)  # type: ignore[method-assign]
    assert driver.main() == 0, story.end
    assert [reason for _, reason, _ in story.retries] == [FailureReason.OUT_OF_MEMORY]
    assert "Tried to allocate 20.00 GiB" in story.retries[0][2]

    refused = DriverStory()
    config = config_of(model, images, gradient_checkpointing=False)
    driver = make(config, tmp_path / "off", settings, refused)
    driver.launcher = lambda: Launcher(_short_of_memory)  # type: ignore[method-assign]
    assert driver.main() == 1
    assert refused.retries == []
    assert refused.end is not None
    assert refused.end[:2] == ("failed", FailureReason.OUT_OF_MEMORY)
    assert "gradient_checkpointing: true" in refused.end[2]
