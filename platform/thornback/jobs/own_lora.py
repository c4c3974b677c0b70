"""What a LoRA training on our own GPUs needs to know: its fields, ranges and defaults."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thornback.jobs.flag import Flag

FamilyName = Literal["flux1", "sdxl", "sd15", "flux2-klein", "qwen-image", "z-image", "sd3", "chroma"]

_DEFAULT_STEPS = 1000
_LEAST_PRODIGY_RATE = 0.1
_STEPS_TO_EPOCHS = "give either steps or epochs"


class LoraConfig(BaseModel):
    """Configuration of one run: images and captions in, a LoRA file out."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # Model
    base_model: Annotated[
        str, Field(min_length=1, max_length=4096, description="Folder of a diffusers model, or its id on the hub.")
    ]
    revision: Annotated[
        str | None, Field(max_length=200, description="Of the hub; left out: the newest, whose commit is recorded.")
    ] = None
    family: Annotated[
        FamilyName | Literal["auto"], Field(description="auto: what the model's model_index.json says.")
    ] = "auto"
    rank: Annotated[int, Field(ge=1, le=1024, description="LoRA rank.")] = 16
    alpha: Annotated[float | None, Field(gt=0.0, le=1024.0, description="Strength alpha / rank; null: the rank.")] = (
        None
    )
    dropout: Annotated[float, Field(ge=0.0, lt=1.0, description="Of the LoRA's input.")] = 0.0
    targets: Annotated[
        list[str] | None, Field(min_length=1, description="Ends of the layers' names; null: the family's own choice.")
    ] = None

    # Data
    dataset: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="Images with same-name .txt captions or metadata.jsonl: a folder, a ZIP, s3://, `upload:<id>`, "
            "or `job:<id>` of a finished image set.",
        ),
    ]
    regularisation: Annotated[
        str | None, Field(max_length=4096, description="Images of the class, not of the subject; a dataset likewise.")
    ] = None
    regularisation_weight: Annotated[float, Field(gt=0.0, le=10.0)] = 1.0
    masks: Annotated[
        str | None,
        Field(max_length=4096, description="Folder of same-name grey pictures: white is learned, black is not."),
    ] = None
    trigger_word: Annotated[
        str | None, Field(min_length=1, max_length=100, description="Stands for [trigger] in captions and prompts.")
    ] = None
    default_caption: Annotated[
        str | None, Field(max_length=5000, description="For images without one, e.g. `a photo of [trigger]`.")
    ] = None
    caption_dropout: Annotated[float, Field(ge=0.0, le=1.0, description="Share of steps without a caption.")] = 0.05
    resolution: Annotated[
        list[Annotated[int, Field(ge=64, le=4096)]],
        Field(min_length=1, max_length=8, description="Pixels of a square with the area of the buckets."),
    ] = [512, 768, 1024]
    upscale: Annotated[
        Flag, Field(description="Blow up images that are smaller than their bucket; else they are left out of it.")
    ] = False
    flip: Annotated[Flag, Field(description="Mirror every other drawn image.")] = False
    crops: Annotated[int, Field(ge=1, le=16, description="Different crops of each image that are kept encoded.")] = 1
    repeats: Annotated[int, Field(ge=1, le=1000, description="How often an epoch shows each image.")] = 1
    validation_split: Annotated[float, Field(ge=0.0, le=0.5, description="Share held out.")] = 0.0
    max_broken_share: Annotated[
        float, Field(ge=0.0, le=1.0, description="More unreadable images than this share fail the job.")
    ] = 0.1

    # Training
    steps: Annotated[int | None, Field(ge=1, le=1_000_000, description="Optimizer steps.")] = None
    epochs: Annotated[int | None, Field(ge=1, le=100_000, description="Instead of steps.")] = None
    batch_size: Annotated[int, Field(ge=1, le=256, description="Per device.")] = 1
    gradient_accumulation: Annotated[int, Field(ge=1, le=1024)] = 1
    learning_rate: Annotated[float, Field(gt=0.0, le=10.0)] = 1e-4
    optimizer: Annotated[
        Literal["adamw", "adamw8bit", "prodigy"],
        Field(description="adamw8bit needs bitsandbytes and a GPU; prodigy finds its own rate: learning_rate 1."),
    ] = "adamw"
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    lr_scheduler: Literal["constant", "cosine", "linear"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0, le=100_000)] = 0
    gradient_clip_norm: Annotated[float, Field(ge=0.0, description="0 is off; the norm is reported either way.")] = 1.0
    timestep_sampling: Annotated[
        Literal["logit_normal", "sigmoid", "uniform"], Field(description="Flow matching only.")
    ] = "logit_normal"
    timestep_shift: Annotated[
        float | Literal["auto"], Field(description="Flow matching only; auto: by the image's size, as FLUX is sampled.")
    ] = 1.0
    min_snr_gamma: Annotated[
        float | None, Field(gt=0.0, le=100.0, description="SD 1.5 and SDXL only; null: every step weighs the same.")
    ] = 5.0
    ema_decay: Annotated[float | None, Field(gt=0.0, lt=1.0, description="null: no moving average.")] = None
    train_text_encoder: Annotated[
        Flag, Field(description="SD 1.5 and SDXL: a LoRA on the CLIPs too; text is then encoded at every step.")
    ] = False
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    # Watching
    validate_every: Annotated[int, Field(ge=0, description="Steps; 0: at the end only.")] = 100
    early_stop_patience: Annotated[
        int, Field(ge=0, le=1000, description="Validations without a better loss; 0 is off.")
    ] = 0
    sample_prompts: Annotated[list[Annotated[str, Field(min_length=1, max_length=5000)]], Field(max_length=16)] = []
    sample_every: Annotated[int, Field(ge=0, description="Steps; 0: at the end only.")] = 250
    sample_size: Annotated[int | None, Field(ge=64, le=4096, description="Pixels; null: the largest resolution.")] = (
        None
    )
    sample_steps: Annotated[int | None, Field(ge=1, le=200, description="null: the family's own.")] = None
    sample_guidance: Annotated[float | None, Field(ge=0.0, le=50.0)] = None
    save_every: Annotated[int, Field(ge=1, description="Steps between checkpoints.")] = 250
    keep: Annotated[int, Field(ge=1, le=1000, description="LoRA files of checkpoints that are kept.")] = 4
    log_every_steps: Annotated[int, Field(ge=1)] = 10

    # Hardware
    accelerator: Annotated[
        Literal["auto", "gpu", "cpu"], Field(description="auto: a GPU where the cluster has one, else the CPU.")
    ] = "auto"
    devices: Annotated[int, Field(ge=1, le=1024, description="Workers, one device each.")] = 1
    min_devices: Annotated[
        int | None, Field(ge=1, le=1024, description="Elastic: start with fewer workers, down to this many.")
    ] = None
    cpus_per_device: Annotated[int, Field(ge=1, le=256)] = 1
    strategy: Annotated[
        Literal["auto", "ddp", "fsdp"], Field(description="auto: FSDP where the base does not fit on one device.")
    ] = "auto"
    precision: Annotated[
        Literal["auto", "bf16", "fp32"], Field(description="Of the base; auto: bf16 on a GPU, fp32 on a CPU.")
    ] = "auto"
    quantize_base: Annotated[
        Literal["none", "int8", "nf4"], Field(description="Buys memory, not speed; needs bitsandbytes and a GPU.")
    ] = "none"
    gradient_checkpointing: Annotated[
        Flag | None, Field(description="null: on where the free memory asks for it; the log says why.")
    ] = None
    compile: Annotated[Flag | None, Field(description="torch.compile; null: on a GPU when the run is long enough.")] = (
        None
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(_STEPS_TO_EPOCHS)
        if self.min_devices is not None and self.min_devices > self.devices:
            raise ValueError(f"min_devices ({self.min_devices}) is more than devices ({self.devices})")
        if self.steps is not None and self.warmup_steps >= self.steps > 1:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must be fewer than steps ({self.steps})")
        if isinstance(self.timestep_shift, float) and self.timestep_shift <= 0.0:
            raise ValueError("timestep_shift must be greater than 0")
        if self.optimizer == "prodigy" and self.learning_rate < _LEAST_PRODIGY_RATE:
            raise ValueError(
                f"prodigy scales a rate that it finds by itself: set learning_rate to 1, not {self.learning_rate:g}"
            )
        if self.early_stop_patience and not self.validation_split:
            raise ValueError("early_stop_patience needs a validation_split")
        return self

    @property
    def effective_alpha(self) -> float:
        """Alpha as it is carried out."""
        return float(self.rank) if self.alpha is None else self.alpha

    def total_steps(self, steps_per_epoch: int) -> int:
        """Optimizer steps of the whole run."""
        if self.epochs is not None:
            return self.epochs * steps_per_epoch
        return self.steps or _DEFAULT_STEPS
