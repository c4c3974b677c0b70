"""Validation clips to listen to: the worst mistakes and some that were right, each as sound and as spectrogram.

The files are `examples.json`, and for each clip a WAV and the log-mel spectrogram that the network saw, as a PNG.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image

from thornback.artifacts.node_cache import NodeCache
from thornback.datasets.clips import Clip
from thornback.datasets.source import BrokenClip, ClipSource
from thornback.jobs.convnext import TrainingConfig
from train_jobs.convnext.data import CENTRE, fit_length
from train_jobs.convnext.frontend import LogMel
from train_jobs.convnext.hearing import Heard

INDEX = "examples.json"
MOST = 24
MOST_WRONG = 16
LONGEST_S = 10.0
PICTURE = (480, 128)  # pixels at most
LEAST_RATE = 3000  # Hz: below that browsers play nothing
PEAK = 0.9  # of full scale: recordings of radio are often too faint to hear

# Dark blue over violet and orange to light yellow, rising evenly in lightness: readable in grey as well.
_COLOURS = ((4, 5, 28), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))


def chosen(heard: Sequence[Heard]) -> list[Heard]:
    """The mistakes that the network was surest of, then clips of each class in turn that it was right about."""
    wrong = sorted((one for one in heard if not one.is_right), key=lambda one: (-one.probability, one.clip))
    by_class: dict[int, list[Heard]] = {}
    for one in sorted((one for one in heard if one.is_right), key=lambda one: (-one.probability, one.clip)):
        by_class.setdefault(one.truth, []).append(one)
    turns = [one for rank in range(MOST) for _, ones in sorted(by_class.items()) for one in ones[rank : rank + 1]]
    worst = wrong[:MOST_WRONG]
    return worst + turns[: min(MOST - len(worst), MOST - MOST_WRONG)]


def example_files(
    heard: Sequence[Heard],
    clips: Sequence[Clip],
    classes: Sequence[str],
    root: str,
    config: TrainingConfig,
    *,
    near: NodeCache | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Names and contents, the index last. A clip that cannot be read any more is left out."""
    source, frontend = ClipSource(root, near), LogMel(config)
    told: list[dict[str, Any]] = []
    for one in chosen(heard):
        clip = clips[one.clip]
        try:
            wave = _heard_part(source.read(clip, config.sample_rate), config)
        except BrokenClip:
            continue
        name = f"{len(told):02d}"
        yield f"{name}.wav", sound(wave, config.sample_rate)
        yield f"{name}.png", spectrogram(frontend, wave)
        told.append(
            {
                "id": name,
                "path": clip.path,
                "label": classes[one.truth],
                "prediction": classes[one.predicted],
                "probability": round(one.probability, 4),
                "label_probability": round(one.truth_probability, 4),
                "right": one.is_right,
                "seconds": round(len(wave) / config.sample_rate, 3),
            }
        )
    right = sum(one.is_right for one in heard)
    about = {"heard": len(heard), "right": right, "highest_hz": config.sample_rate / 2, "examples": told}
    yield INDEX, orjson.dumps(about)


def sound(wave: NDArray[np.float32], rate: int) -> bytes:
    """A WAV of 16 bits, as loud as it goes."""
    loudest = float(np.abs(wave).max(initial=0.0))
    repeats = -(-LEAST_RATE // rate)
    louder = np.repeat(wave * (PEAK / loudest if loudest > 0 else 1.0), repeats)
    out = io.BytesIO()
    soundfile.write(out, louder, rate * repeats, format="WAV", subtype="PCM_16")
    return out.getvalue()


def spectrogram(frontend: LogMel, wave: NDArray[np.float32]) -> bytes:
    """A PNG: time to the right, pitch upwards on the mel scale, the loudest lightest."""
    short = max(0, frontend.mel.n_fft - len(wave))
    with torch.inference_mode():
        levels = frontend(torch.from_numpy(np.pad(wave, (0, short))).unsqueeze(0))[0, 0].numpy()
    low, high = np.percentile(levels, (2, 99.8))
    scaled = np.clip((levels - low) / max(float(high - low), 1e-6), 0, 1)
    picture = Image.fromarray((255 * scaled[::-1]).astype(np.uint8))
    picture = picture.resize((min(picture.width, PICTURE[0]), min(picture.height, PICTURE[1])), Image.Resampling.BOX)
    out = io.BytesIO()
    picture.putpalette(_palette())  # of a grey picture: its levels become places in the palette
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _heard_part(wave: NDArray[np.float32], config: TrainingConfig) -> NDArray[np.float32]:
    """What the network hears of a clip, without the silence that fills it up, and not longer than people listen."""
    samples = min(len(wave), round(config.clip_seconds * config.sample_rate))
    shown = min(samples, round(LONGEST_S * config.sample_rate))
    return np.ascontiguousarray(fit_length(fit_length(wave, samples, CENTRE), shown, CENTRE), dtype=np.float32)


def _palette() -> list[int]:
    places = np.linspace(0, len(_COLOURS) - 1, 256)
    parts = [np.interp(places, range(len(_COLOURS)), part) for part in zip(*_COLOURS, strict=True)]
    return [int(value) for value in np.stack(parts, axis=1).round().ravel()]
