"""Models that look at pictures: Florence-2 and BLIP by transformers, on the GPU where there is one.

An object of these classes can be a Ray actor: it is made with strings and numbers, loads its weights once where it
runs, and is given files. It runs only code of transformers, never what lies beside the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from thornback.datasets import pictures
from thornback.errors import InvalidInput, WeightsUnavailable

Architecture = Literal["florence2", "blip"]

_MOST_TOKENS = 128
_NAMED = 3  # weights that a message names


class _Kind(NamedTuple):
    """How one architecture is loaded and asked."""

    model_type: str  # as its config.json says
    label: str
    prompt: str | None  # what it is asked in words
    beams: int


_KINDS: dict[Architecture, _Kind] = {
    "florence2": _Kind("florence2", "Florence-2", "<DETAILED_CAPTION>", 3),
    "blip": _Kind("blip", "BLIP", None, 3),
}


class ModelCaptioner:
    """A model in this process. Implements `datasets.captions.port.Captioner`."""

    def __init__(
        self, architecture: Architecture, source: str, *, device: str | None = None, batch: int = 8, threads: int = 1
    ) -> None:
        """Load it.

        Args:
            architecture: which class reads the weights.
            source: a folder as `save_pretrained` writes it, or an id on the hub.
            device: left out: a GPU where there is one.
            batch: pictures at once.
            threads: of the CPU.

        Raises:
            WeightsUnavailable: they are not there, are those of another model, or not whole.
            InvalidInput: the extra `lora` is not installed.
        """
        import torch

        torch.set_num_threads(threads)
        self._kind = _KINDS[architecture]
        self.batch = batch
        self.name = f"{self._kind.label} ({Path(source).name or source})"
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._type = torch.float16 if self._device.startswith("cuda") else torch.float32
        self._processor, self._model = _load(architecture, source, self._type)
        self._model.to(self._device).eval()

    def describe(self, images: Sequence[Path]) -> list[str]:
        """See Captioner. Raises DataError for a file that is no picture."""
        import torch

        opened = [pictures.to_rgb(path.read_bytes()) for path in images]
        asked = {} if self._kind.prompt is None else {"text": [self._kind.prompt] * len(opened)}
        inputs = self._processor(images=opened, return_tensors="pt", **asked).to(self._device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self._type)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs, max_new_tokens=_MOST_TOKENS, num_beams=self._kind.beams, do_sample=False
            )
        said: list[str] = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return [words.strip() for words in said]


def _load(architecture: Architecture, source: str, dtype: Any) -> tuple[Any, Any]:
    """(processor, model), every weight of which came from the files: missing ones would be random, and say nonsense."""
    processor_class, model_class = _classes(architecture)
    kind = _KINDS[architecture]
    try:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        if config.model_type != kind.model_type:
            raise WeightsUnavailable(f"{source} holds a model of type {config.model_type}, not {kind.model_type}")
        processor = processor_class.from_pretrained(source)
        model, report = model_class.from_pretrained(
            source, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    # Of a file that is missing, broken or of another shape transformers raises any of these.
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise WeightsUnavailable(
            f"{source} cannot be loaded as {kind.label}: {error}. Give a folder with config.json, "
            "model.safetensors and the files of its processor, or an id on the hub where this machine reaches it"
        ) from error
    missing = sorted(report["missing_keys"]) + sorted(str(entry[0]) for entry in report["mismatched_keys"])
    if missing:
        raise WeightsUnavailable(
            f"{source} lacks {len(missing)} weights of {kind.label}, e.g. {', '.join(missing[:_NAMED])}; with "
            "random ones in their place it would say nonsense"
        )
    return processor, model


def _classes(architecture: Architecture) -> tuple[Any, Any]:
    try:
        if architecture == "florence2":
            from transformers import Florence2ForConditionalGeneration, Florence2Processor

            return Florence2Processor, Florence2ForConditionalGeneration
        from transformers import BlipForConditionalGeneration, BlipProcessor
    except ImportError as error:
        raise InvalidInput.field(
            "config.captions.method", f"{architecture} needs transformers: pip install 'thornback[lora]' ({error})"
        ) from error
    return BlipProcessor, BlipForConditionalGeneration
