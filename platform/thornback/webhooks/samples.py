"""Webhooks as Replicate sends them for a LoRA training, with values of our own. Pure.

The finished one has the shape of the payload that the documentation of the webhook shows: `output` a bare
text, an `input` with captioning, timings in `metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

STEPS = 300
_RATE_S = 2.6  # seconds a step
_SETUP_S = 12.0
_MARKS = (0.1, 0.45, 0.8)  # of the steps, at each webhook on the way
_WIDTH = 10  # of a drawn bar


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTraining:
    """One training that ended a moment ago."""

    id: str
    output: str  # an id, or the address of the weights
    ended_at: datetime
    trigger_word: str = "WAYFARER"
    captioning: str = "automatic"
    dataset_url: str = "https://example.com/wayfarer.zip"

    def success(self) -> Mapping[str, Any]:
        """The last webhook."""
        run_s = STEPS * _RATE_S
        return self._body(
            "succeeded",
            output=self.output,
            metrics={"predict_time": run_s + 0.272920881, "total_time": run_s + _SETUP_S + 0.282155},
            completed_at=_wire(self.ended_at),
            started_at=_wire(self._started_at),
            logs=self._log(1.0) + "Fine-tuning completed\n",
        )

    def lifecycle(self) -> Iterator[Mapping[str, Any]]:
        """From `starting` to `succeeded`; each webhook carries the whole log so far."""
        yield self._body("starting", output=None, logs="")
        for share in _MARKS:
            log = self._log(share)
            yield self._body("processing", output=None, started_at=_wire(self._started_at), logs=log)
        yield self.success()

    @property
    def _started_at(self) -> datetime:
        return self.ended_at - timedelta(seconds=STEPS * _RATE_S)

    def _body(self, status: str, **fields: Any) -> Mapping[str, Any]:
        inputs = {
            "captioning": self.captioning,
            "input_images": self.dataset_url,
            "trigger_word": self.trigger_word,
            "steps": STEPS,
        }
        created = self._started_at - timedelta(seconds=_SETUP_S)
        return {"id": self.id, "status": status, "input": inputs, "created_at": _wire(created), "error": None} | fields

    def _log(self, share: float) -> str:
        """What tqdm has drawn: a bar for every tenth of the steps, each after a carriage return."""
        bars = [_bar(step) for step in range(STEPS // 10, STEPS + 1, STEPS // 10) if step <= share * STEPS]
        bars += [] if share >= 1 else [_bar(round(share * STEPS))]
        return "Extracting images\nStarting train job\n" + "".join(f"\r{bar}" for bar in bars) + "\n"


def _bar(step: int) -> str:
    share = step / STEPS
    drawn = round(share * _WIDTH)
    spent, left = _clock(step * _RATE_S), _clock((STEPS - step) * _RATE_S)
    loss = 0.6 - 0.3 * share
    return (
        f"flux_train_replicate: {share:4.0%}|{'█' * drawn}{' ' * (_WIDTH - drawn)}| {step}/{STEPS} "
        f"[{spent}<{left},  {_RATE_S:.2f}s/it, lr: 4.0e-04 loss: {loss:.3e}]"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:02}:{rest:02}"


def _wire(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def fal_success(request_id: str) -> Mapping[str, Any]:
    """What fal sends when a training has succeeded, and nothing before."""
    name = "pytorch_lora_weights.safetensors"
    weights = {"url": f"https://example.com/{name}", "file_name": name, "content_type": "application/octet-stream"}
    payload = {"diffusers_lora_file": weights, "config_file": {"url": "https://example.com/config.json"}}
    return {
        "request_id": request_id,
        "gateway_request_id": request_id,
        "status": "OK",
        "error": None,
        "payload": payload,
    }
