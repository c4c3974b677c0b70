"""What a ConvNeXt training on audio needs to know: its fields, ranges and defaults."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thornback.jobs.flag import Flag

Architecture = Literal[
    "convnext_large",
    "convnext_base",
    "convnext_small",
    "convnext_tiny",
    "convnext_nano",
    "convnext_pico",
    "convnext_femto",
    "convnext_atto",
]

_DEFAULT_WARMUP_EPOCHS = 5
_MIN_FRAMES = 32  # ConvNeXt's stem and three down-samplings divide by 32


class TrainingConfig(BaseModel):
    """Configuration of one ConvNeXt run: waveforms in, class probabilities out."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # Model
    model_architecture: Architecture = "convnext_tiny"
    pretrained: Annotated[Flag, Field(description="Start from timm's ImageNet weights.")] = True
    pretrained_path: Annotated[
        str | None,
        Field(description="Local file (.safetensors or .pth) with the pretrained weights, instead of the hub."),
    ] = None
    freeze_backbone: Annotated[Flag, Field(description="Train the classifier head only.")] = False
    dropout_rate: Annotated[float, Field(ge=0.0, le=0.9)] = 0.2

    # Data
    data: Annotated[
        str | None,
        Field(
            description="Folder with one sub-folder per class, or a manifest (CSV, JSONL, Parquet); "
            "a local path or s3://. Left out: the platform's default dataset.",
        ),
    ] = None
    batch_size: Annotated[int, Field(ge=1, le=512, description="Per device.")] = 32
    num_workers: Annotated[int, Field(ge=0, le=16, description="Loader processes per device.")] = 4
    validation_split: Annotated[
        float, Field(ge=0.0, le=0.5, description="Share held out, stratified; a manifest's own split column wins.")
    ] = 0.2
    min_snr_db: Annotated[float, Field(description="Drop clips whose snr_db is lower.")] = 10.0
    only_approved: Annotated[Flag, Field(description="Drop clips whose approved column is false.")] = True
    max_broken_share: Annotated[
        float, Field(ge=0.0, le=1.0, description="More unreadable files than this share fail the job.")
    ] = 0.05

    # Features
    sample_rate: Annotated[int, Field(ge=1000, le=192_000, description="Hz; other rates are resampled.")] = 32_000
    clip_seconds: Annotated[float, Field(gt=0.0, le=60.0, description="Clips are cut or padded to this.")] = 5.0
    n_mels: Annotated[int, Field(ge=8, le=512)] = 128
    n_fft: Annotated[int, Field(ge=64, le=16_384)] = 2048
    hop_length: Annotated[int, Field(ge=16, le=8192)] = 512
    spec_augment: Annotated[Flag, Field(description="Mask random time and frequency bands.")] = False
    mixup_alpha: Annotated[float, Field(ge=0.0, le=10.0, description="Beta(a, a) of mixup; 0 is off.")] = 0.0

    # Training
    epochs: Annotated[int, Field(ge=1, le=1000)] = 100
    learning_rate: Annotated[float, Field(gt=0.0, le=10.0)] = 0.001
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0001
    lr_scheduler: Literal["cosine", "step", "plateau"] = "cosine"
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)] = _DEFAULT_WARMUP_EPOCHS
    early_stop_patience: Annotated[
        int, Field(ge=0, le=1000, description="Epochs without a better validation loss; 0 is off.")
    ] = 10
    gradient_clip_norm: Annotated[float, Field(ge=0.0, description="0 is off; the norm is reported either way.")] = 1.0
    class_weights: Annotated[Flag, Field(description="Weigh classes by inverse frequency.")] = False
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    # Hardware
    accelerator: Annotated[
        Literal["auto", "gpu", "cpu"], Field(description="auto: a GPU where the cluster has one, else the CPU.")
    ] = "auto"
    devices: Annotated[int, Field(ge=1, le=1024, description="Workers, one device each.")] = 1
    min_devices: Annotated[
        int | None, Field(ge=1, le=1024, description="Elastic: start with fewer workers, down to this many.")
    ] = None
    cpus_per_device: Annotated[int, Field(ge=1, le=256)] = 1
    amp: Annotated[Flag | None, Field(description="bf16 autocast; null: where the GPU has it.")] = None
    channels_last: Annotated[Flag | None, Field(description="null: on a GPU.")] = None
    compile: Annotated[Flag | None, Field(description="torch.compile; null: on a GPU when the run is long enough.")] = (
        None
    )

    # Checkpoints and tracking
    checkpoint_every_steps: Annotated[
        int, Field(ge=0, description="Also inside an epoch, every so many steps; 0: at epoch ends only.")
    ] = 0
    log_every_steps: Annotated[int, Field(ge=1, description="Step rows for the charts.")] = 10
    mlflow_experiment: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.min_devices is not None and self.min_devices > self.devices:
            raise ValueError(f"min_devices ({self.min_devices}) is more than devices ({self.devices})")
        # The default gives way to a short run, also where a stored spec has it written out.
        if self.warmup_epochs >= self.epochs > 1 and self.warmup_epochs != _DEFAULT_WARMUP_EPOCHS:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be fewer than epochs ({self.epochs})")
        if self.hop_length > self.n_fft:
            raise ValueError(
                f"hop_length ({self.hop_length}) is more than n_fft ({self.n_fft}): audio would be skipped"
            )
        frames = int(self.clip_seconds * self.sample_rate) // self.hop_length + 1
        if frames < _MIN_FRAMES or self.n_mels < _MIN_FRAMES:
            raise ValueError(
                f"the spectrogram would be {self.n_mels} mels x {frames} frames and ConvNeXt needs at least "
                f"{_MIN_FRAMES} x {_MIN_FRAMES}: raise n_mels or clip_seconds, or lower hop_length"
            )
        return self

    @property
    def effective_warmup_epochs(self) -> int:
        """Warm-up epochs as they are carried out."""
        return min(self.warmup_epochs, max(0, (self.epochs - 1) // 2))
