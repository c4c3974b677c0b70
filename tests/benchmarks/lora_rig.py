"""What the LoRA benchmarks share: pictures, and the phases of a worker in this process, without Ray."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import nn

from thornback.artifacts.files import locate
from thornback.datasets.captioned import FolderFiles, look
from thornback.jobs.own_lora import LoraConfig
from thornback.metrics.reporter import NullReporter, Reporter
from train_jobs.common.group import Group
from train_jobs.lora import components
from train_jobs.lora.cache import Cache, model_key
from train_jobs.lora.checkpoint import Snapshot
from train_jobs.lora.components import BaseModel
from train_jobs.lora.encode import encode_images, encode_texts, read_by_hash
from train_jobs.lora.examples import Examples
from train_jobs.lora.learner import Learner
from train_jobs.lora.loop import Order, Training
from train_jobs.lora.memory import Peaks
from train_jobs.lora.sampling import NEGATIVE
from train_jobs.lora.shots import make_examples

CAPTION = "a photo of sks"


class Nowhere:
    """Takes checkpoints, files and pictures, and keeps none."""

    def load(self) -> Snapshot | None:
        return None

    def save(self, name: str, snapshot: Snapshot | None, *, score: float) -> None:
        pass

    def put(self, step: int, epochs: int, weights: Mapping[str, Any]) -> None:
        pass

    def show(self, step: int, samples: object) -> None:
        pass


def make_pictures(folder: Path, *, count: int, side: int) -> Path:
    """Squares and circles on noise, each with the same caption."""
    folder.mkdir(parents=True)
    draw_numbers = random.Random(0)
    for number in range(count):
        image = Image.effect_noise((side, side), 40).convert("RGB")
        corner = draw_numbers.randrange(side // 2)
        box = (corner, corner, corner + side // 3, corner + side // 3)
        draw = ImageDraw.Draw(image)
        (draw.ellipse if number % 2 else draw.rectangle)(box, fill=(draw_numbers.randrange(256), 90, 160))
        content = io.BytesIO()
        image.save(content, "PNG")
        (folder / f"{number:03d}.png").write_bytes(content.getvalue())
    return folder


class Bench:
    """A worker's phases, as `train_jobs.lora.ray_worker` runs them, one by one."""

    def __init__(self, config: LoraConfig, cache: Path, *, device: str = "cpu", dtype: torch.dtype) -> None:
        self.config, self.dtype = config, dtype
        self.group = Group(device=torch.device(device))
        self.peaks = Peaks(self.group.device)
        self._cache = cache

    def encode(self) -> tuple[BaseModel, Examples, Cache, int]:
        """Look at the pictures and fill the cache; also says how many crops and captions that were."""
        base = components.find_base_model(self.config.base_model, revision=None, family="auto")
        files = FolderFiles(locate(self.config.dataset))
        index = look(files, source=self.config.dataset, trigger_word=None, default_caption=self.config.default_caption)
        examples, _ = make_examples(self.config, index, None, multiple=base.model_family.pixel_multiple)
        cache = Cache(
            str(self._cache),
            text_key=model_key(base.source, base.revision, base.model_family.text_components),
            image_key=model_key(base.source, base.revision, ("vae",)),
        )
        shots = [*examples.train, *examples.val]
        captions = {shot.caption for shot in shots} | {"", NEGATIVE}
        quiet = NullReporter()
        texts = encode_texts(base, captions, cache, self.group, quiet, dtype=self.dtype)
        self.peaks.phase("encoding text")
        images = encode_images(
            base,
            shots,
            cache,
            self.group,
            quiet,
            dtype=self.dtype,
            read=read_by_hash(files, {image.sha256: image.name for image in index.images}),
            read_mask=lambda shot: None,
        )
        self.peaks.phase("encoding images")
        return base, examples, cache, texts + images

    def denoiser(self, base: BaseModel) -> tuple[nn.Module, Mapping[str, Any]]:
        """On its device."""
        return components.load_denoiser(base, device=self.group.device, dtype=self.dtype, quantize="none")

    def training(
        self,
        base: BaseModel,
        examples: Examples,
        cache: Cache,
        *,
        compiled: bool = False,
        reporter: Reporter | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Training:
        """The loop, ready to run; it keeps no checkpoint."""
        denoiser, scheduler = self.denoiser(base)
        if self.config.gradient_checkpointing:
            checkpointed: Any = denoiser
            checkpointed.enable_gradient_checkpointing()
        autocast = self.dtype if self.dtype != torch.float32 else None
        learner = Learner(
            self.config, base.model_family, denoiser, scheduler, self.group, autocast=autocast, compiled=compiled
        )
        self.peaks.phase("loading")
        return Training(
            self.config,
            examples,
            cache,
            learner,
            self.group,
            reporter or NullReporter(),
            Nowhere(),
            sampler=None,
            gallery=Nowhere(),
            shelf=Nowhere(),
            wishes=lambda: Order.GO_ON,
            stop=stop,
        )
