"""What Ray Train runs in each worker process: sets the process up, encodes what is missing, calls the loop."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train.v2._internal.execution import context as ray_context
from torch import nn

from thornback import torch_shim
from thornback.artifacts.files import locate
from thornback.datasets.captioned import Files, ImageIndex, filled, open_images
from thornback.metrics.capture import capture_output
from thornback.metrics.reporter import Reporter, open_reporter
from train_jobs.common.console import ConsoleReporter
from train_jobs.common.group import Group
from train_jobs.common.nodes import nodes_of
from train_jobs.common.ray_checkpoints import Codec, RayCheckpoints
from train_jobs.common.snapshots import upload
from train_jobs.common.stopping import StopListener
from train_jobs.common.tracking import TrackingReporter, open_sinks
from train_jobs.lora import components
from train_jobs.lora.cache import Cache, model_key
from train_jobs.lora.checkpoint import Snapshot, read_snapshot, write_snapshot
from train_jobs.lora.choices import Choices, Load, Machine, choose, choose_precision
from train_jobs.lora.encode import encode_images, encode_texts, read_by_hash
from train_jobs.lora.examples import Examples, Shot
from train_jobs.lora.gallery import RunGallery
from train_jobs.lora.learner import Learner, blocks_of
from train_jobs.lora.loop import Outcome, Training
from train_jobs.lora.memory import Peaks, explain_out_of_memory
from train_jobs.lora.plan import RunPlan
from train_jobs.lora.sampling import NEGATIVE, Sampler
from train_jobs.lora.shelf import RunShelf
from train_jobs.lora.shots import make_examples
from train_jobs.lora.wishes import ReporterWishes

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def _is_best(snapshot: Snapshot) -> bool:
    return snapshot.state.watch.best_step == snapshot.state.step


CODEC = Codec(read=read_snapshot, write=write_snapshot, upload=upload, is_best=_is_best)


def run_worker(job: dict[str, Any]) -> Outcome:
    """Train. `job` holds the `plan` and the driver's `stop` signal."""
    torch_shim.install()
    # Each checkpoint would be a line in the job's log; Ray names this logger by its file.
    logging.getLogger(ray_context.__file__).setLevel(logging.WARNING)
    components.be_quiet()
    plan: RunPlan = job["plan"]
    context = ray.train.get_context()
    base = open_reporter(plan.job_id, attempt=plan.attempt, rank=context.get_world_rank(), namespace=plan.namespace)
    reporter: Reporter = base
    with capture_output(base):
        try:
            device = _device(plan)
            group = Group.of_process(device)
            if group.is_first:
                reporter = TrackingReporter(
                    ConsoleReporter(base, is_captured=True),
                    open_sinks(plan.tensorboard, plan.mlflow),
                    steps_per_epoch=0,
                )
            worker = Worker(plan, group, reporter, context.get_local_world_size())
            return worker.run(StopListener(job["stop"]))
        finally:
            reporter.close(timeout_s=10.0)


class Worker:
    """One worker's phases, in order."""

    def __init__(self, plan: RunPlan, group: Group, reporter: Reporter, local_workers: int) -> None:
        self.plan, self.group, self.reporter = plan, group, reporter
        self.config, self.family = plan.config, plan.base.model_family
        self.machine = _machine(plan, group, local_workers)
        # Now: what is asked while images are encoded is carried out at the first step.
        self.wishes = ReporterWishes(reporter, clock=lambda: datetime.now(UTC))
        self.peaks = Peaks(group.device)
        precision, _ = choose_precision(self.config, self.machine)
        self.dtype = DTYPES[precision]
        torch.set_num_threads(max(1, min(self.config.cpus_per_device, self.machine.cores // local_workers)))

    def run(self, stop: Callable[[], bool]) -> Outcome:
        """Encode, load, train."""
        examples, sources = self.examples()
        cache = self.encode(examples, sources)
        denoiser, scheduler = components.load_denoiser(
            self.plan.base, device=torch.device("cpu"), dtype=self.dtype, quantize=self.config.quantize_base
        )
        choices = self.choose(denoiser, examples)
        with explain_out_of_memory(self.config, choices, self.group.device, in_training=False):
            learner = self.learner(denoiser, scheduler, choices)
        self.peaks.phase("loading")
        checkpoints = RayCheckpoints(self.plan.run_uri, self.plan.resume_from, self.reporter, CODEC)
        training = Training(
            self.config,
            examples,
            cache,
            learner,
            self.group,
            self.reporter,
            checkpoints,
            sampler=self.sampler(),
            gallery=RunGallery(self.plan.run_uri, self.reporter),
            shelf=RunShelf(self.plan, self.reporter),
            wishes=self.wishes,
            stop=stop,
        )
        with explain_out_of_memory(self.config, choices, self.group.device):
            outcome = training.run()
        self.peaks.phase("training")
        self.reporter.describe(memory_peaks=self.peaks.as_dict())
        checkpoints.wait()  # what is uploaded last is told last, and then nobody speaks any more
        return outcome

    def examples(self) -> tuple[Examples, list[tuple[ImageIndex, str]]]:
        """The shots, and each index with the address of its images."""
        index = ImageIndex.from_json(locate(self.plan.index).read_bytes())
        extra = None
        if self.config.regularisation is not None:
            extra = ImageIndex.from_json(locate(self.plan.regularisation_index).read_bytes())
        examples, _ = make_examples(self.config, index, extra, multiple=self.family.pixel_multiple)
        indexes = [index] if extra is None else [index, extra]
        return examples, [(one, one.source) for one in indexes]

    def encode(self, examples: Examples, sources: list[tuple[ImageIndex, str]]) -> Cache:
        """Fill the cache; both encoders are gone afterwards."""
        base, config = self.plan.base, self.config
        text_parts = self.family.text_components
        made_by = f"{self.family.name} {self.dtype}"
        cache = Cache(
            self.plan.cache_uri,
            text_key=model_key(base.source, base.revision, text_parts, made_by=made_by),
            image_key=model_key(base.source, base.revision, ("vae",), made_by=made_by),
            near=self.plan.near,
        )
        with tempfile.TemporaryDirectory() as folder:
            read = _reader(sources, self.plan.storage, Path(folder))
            masks = _Masks(sources[0][0], self.plan.storage, Path(folder))
            cache.use_masks(masks.hashes)
            shots = [*examples.train, *examples.val]
            captions = {shot.caption for shot in shots} | {"", NEGATIVE, *self.prompts}
            if config.train_text_encoder:
                captions = set()  # encoded at every step, by encoders that change
            texts = encode_texts(base, captions, cache, self.group, self.reporter, dtype=self.dtype)
            self.peaks.phase("encoding text")
            images = encode_images(
                base, shots, cache, self.group, self.reporter, dtype=self.dtype, read=read, read_mask=masks.read
            )
            self.peaks.phase("encoding images")
        if self.group.is_first:
            self.reporter.describe(captions_encoded=texts, crops_encoded=images)
        return cache

    def choose(self, denoiser: nn.Module, examples: Examples) -> Choices:
        """From the hardware and the model's weight; said with the reasons."""
        batch = self.config.batch_size * self.config.devices
        batches = math.ceil(len(examples.train) * self.config.repeats / batch)
        steps = self.config.total_steps(math.ceil(batches / self.config.gradient_accumulation))
        choices = choose(self.config, self.machine, _load(denoiser, examples, self.config), steps=steps)
        nodes = nodes_of(self.group)
        if self.group.is_first:
            self.reporter.describe(
                **choices.facts(), workers=self.group.world_size, nodes=nodes, device=_name(self.group.device)
            )
        return choices

    def learner(self, denoiser: nn.Module, scheduler: Any, choices: Choices) -> Learner:
        """On its device, or spread over all of them."""
        self.reporter.stage("loading the model")
        if choices.checkpointing.on:
            model: Any = denoiser
            model.enable_gradient_checkpointing()
        return Learner(
            self.config,
            self.family,
            denoiser if choices.shard.on else denoiser.to(self.group.device),
            scheduler,
            self.group,
            autocast=torch.bfloat16 if choices.precision == "bf16" else None,
            shard=choices.shard.on,
            compiled=choices.compile.on,
            text_pipe=self.text_pipe(),
        )

    def text_pipe(self) -> Any:
        """The text encoders, where they are trained."""
        if not self.config.train_text_encoder:
            return None
        return components.load_text_pipeline(self.plan.base, device=self.group.device, dtype=self.dtype)

    def sampler(self) -> Sampler | None:
        """None where no picture is wanted."""
        base = self.plan.base
        if not self.prompts:
            return None
        return Sampler(
            self.config,
            self.prompts,
            make_pipe=lambda denoiser, vae: components.load_for_sampling(base, denoiser, vae),
            load_vae=lambda: components.load_vae(base, device=torch.device("cpu"), dtype=self.dtype),
        )

    @property
    def prompts(self) -> list[str]:
        """Sample prompts with the trigger word in its place."""
        return filled(self.config.sample_prompts, self.config.trigger_word)


class _Masks:
    """The grey pictures of a folder, by their images."""

    def __init__(self, index: ImageIndex, storage: str, into: Path) -> None:
        self._files = None
        if index.masks is not None:
            self._files = open_images(index.masks, storage=storage, into=into / "masks", max_bytes=sys.maxsize)
        self._names = {image.sha256: image.mask for image in index.images if image.mask is not None}
        self.hashes = {image.sha256: image.mask_sha256 for image in index.images if image.mask_sha256 is not None}

    def read(self, shot: Shot) -> bytes | None:
        """The mask of a shot, where it has one."""
        name = self._names.get(shot.image)
        return None if name is None or self._files is None else self._files.read(name)


def _reader(sources: list[tuple[ImageIndex, str]], storage: str, into: Path) -> Callable[[Shot], bytes]:
    by_hash: dict[str, Callable[[Shot], bytes]] = {}
    for place, (index, address) in enumerate(sources):
        files: Files = open_images(address, storage=storage, into=into / str(place), max_bytes=sys.maxsize)
        read = read_by_hash(files, {image.sha256: image.name for image in index.images})
        by_hash |= {image.sha256: read for image in index.images}
    return lambda shot: by_hash[shot.image](shot)


def _load(denoiser: nn.Module, examples: Examples, config: Any) -> Load:
    blocks = blocks_of(denoiser)
    widest = max((size for parameter in denoiser.parameters() for size in parameter.shape[:1]), default=1)
    hidden = next((int(one.shape[-1]) for block in blocks[-1:] for one in block.parameters() if one.ndim == 2), widest)
    height, width = max((shot.size for shot in examples.train), key=lambda size: size[0] * size[1])
    return Load(
        base_bytes=sum(one.numel() * one.element_size() for one in denoiser.parameters()),
        blocks=len(blocks),
        hidden=hidden,
        tokens=height * width // 256 + 512,
        batch=config.batch_size,
    )


def _machine(plan: RunPlan, group: Group, local_workers: int) -> Machine:
    on_gpu = plan.on_gpu
    return Machine(
        on_gpu=on_gpu,
        has_bf16=on_gpu and torch.cuda.is_bf16_supported(including_emulation=False),
        has_triton=importlib.util.find_spec("triton") is not None,
        memory_bytes=torch.cuda.mem_get_info(group.device)[0] if on_gpu else 0,
        cores=len(os.sched_getaffinity(0)),
        local_workers=local_workers,
        world_size=group.world_size,
    )


def _device(plan: RunPlan) -> torch.device:
    if not plan.on_gpu:
        return torch.device("cpu")
    from ray.train.torch import get_device

    device = get_device()
    if device.type != "cuda":
        raise RuntimeError(f"a worker was given no GPU that this torch ({torch.__version__}) can use")
    torch.cuda.set_device(device)
    return device


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
