"""Kinds of radio signals at an intermediate frequency: functions (samples, rng) -> [samples].

Levels are left as they come; the caller sets power and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float64]

SAMPLE_RATE = 8000  # Hz
_CARRIER_HZ = (700.0, 1700.0)

# Morse code of letters and digits: dot 1 unit, dash 3, gaps 1, 3 and 7.
_MORSE = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
)


def cw(count: int, rng: np.random.Generator) -> Wave:
    """A carrier keyed in Morse code at 12 to 30 words per minute."""
    unit = int(1.2 / rng.uniform(12, 30) * SAMPLE_RATE)  # seconds per dot = 1.2 / words per minute
    signs = _MORSE.split()
    keys: list[int] = []
    while len(keys) * unit < 2 * count:
        for mark in signs[rng.integers(len(signs))]:
            keys += [1, 0] if mark == "." else [1, 1, 1, 0]
        keys += [0, 0] if rng.random() < 0.8 else [0] * 6
    start = int(rng.integers(0, count // 2))
    keyed = np.repeat(np.array(keys, dtype=np.float64), unit)[start : start + count]
    if not keyed.any():
        keyed[: count // 2] = 1.0  # a clip that fell into a pause still holds a dash
    return _smooth(keyed, int(0.005 * SAMPLE_RATE)) * _carrier(count, _frequency(rng), rng)


def am(count: int, rng: np.random.Generator) -> Wave:
    """A carrier and both sidebands of a voice, 50 to 95 % modulation."""
    depth = rng.uniform(0.5, 0.95)
    return (1.0 + depth * _voice(count, rng, top_hz=1000.0)) * _carrier(count, _frequency(rng), rng)


def ssb(count: int, rng: np.random.Generator) -> Wave:
    """One sideband of a voice without its carrier, upper or lower."""
    voice = _analytic(_voice(count, rng, top_hz=2400.0))
    side = 1.0 if rng.random() < 0.5 else -1.0
    shift = rng.uniform(100, 600) if side > 0 else rng.uniform(2200, 3000)
    turn = np.exp(2j * np.pi * shift * np.arange(count) / SAMPLE_RATE)
    return np.asarray(np.real((voice if side > 0 else np.conj(voice)) * turn))


def fm(count: int, rng: np.random.Generator) -> Wave:
    """A carrier whose frequency follows a voice, 500 to 1000 Hz deviation."""
    offset = rng.uniform(500, 1000) * _voice(count, rng, top_hz=600.0)
    return _carrier(count, _frequency(rng) + offset, rng)


def fsk(count: int, rng: np.random.Generator) -> Wave:
    """Two tones at 45 to 110 baud, 340 to 850 Hz apart."""
    shift = rng.choice([340.0, 425.0, 850.0])
    symbols = _symbols(count, rng.choice([45.45, 75.0, 110.0]), 2, rng)
    return _carrier(count, _frequency(rng) + (symbols - 0.5) * shift, rng)


def mfsk(count: int, rng: np.random.Generator) -> Wave:
    """Eight or sixteen tones in 1000 Hz, one at a time, 8 to 31 baud."""
    tones = int(rng.choice([8, 16]))
    baud = rng.choice([7.8125, 15.625, 31.25])
    spacing = 1000.0 / tones
    symbols = _symbols(count, baud, tones, rng)
    return _carrier(count, _frequency(rng) + (symbols - tones / 2) * spacing, rng)


def psk(count: int, rng: np.random.Generator) -> Wave:
    """Two or four phases at 125 to 500 baud with smooth transitions."""
    phases = int(rng.choice([2, 4]))
    baud = rng.choice([125.0, 250.0, 500.0])
    angles = 2 * np.pi * _symbols(count, baud, phases, rng) / phases
    width = int(SAMPLE_RATE / baud * 0.6)
    envelope = _smooth(np.cos(angles), width) + 1j * _smooth(np.sin(angles), width)
    turn = np.exp(2j * np.pi * _frequency(rng) * np.arange(count) / SAMPLE_RATE)
    return np.asarray(np.real(envelope * turn))


def chirp(count: int, rng: np.random.Generator) -> Wave:
    """Sweeps of 600 to 1200 Hz, 3 to 10 in a second, up or down, each starting at a random place."""
    width, rate = rng.uniform(600, 1200), rng.uniform(3, 10)
    phase = np.arange(count) / SAMPLE_RATE * rate
    start = rng.integers(0, 8, size=int(phase[-1]) + 1)[phase.astype(int)] / 8
    ramp = (phase + start) % 1.0 - 0.5
    return _carrier(count, _frequency(rng) + (1.0 if rng.random() < 0.5 else -1.0) * width * ramp, rng)


SIGNALS: Mapping[str, Callable[[int, np.random.Generator], Wave]] = {
    "am": am,
    "chirp": chirp,
    "cw": cw,
    "fm": fm,
    "fsk": fsk,
    "mfsk": mfsk,
    "psk": psk,
    "ssb": ssb,
}


def _frequency(rng: np.random.Generator) -> float:
    return float(rng.uniform(*_CARRIER_HZ))


def _carrier(count: int, hertz: Wave | float, rng: np.random.Generator) -> Wave:
    """A tone of constant or changing frequency, its phase without jumps."""
    turns = np.cumsum(np.broadcast_to(np.asarray(hertz, dtype=np.float64), (count,))) / SAMPLE_RATE
    return np.asarray(np.cos(2 * np.pi * (turns + rng.random())))


def _symbols(count: int, baud: float, levels: int, rng: np.random.Generator) -> Wave:
    """Random symbols 0 .. levels-1, held for a symbol's time, starting anywhere within one."""
    places = np.arange(count) / SAMPLE_RATE * baud + rng.random()
    return np.asarray(rng.integers(0, levels, size=int(places[-1]) + 1)[places.astype(int)].astype(np.float64))


def _voice(count: int, rng: np.random.Generator, *, top_hz: float) -> Wave:
    """Something like speech, within ±1: harmonics of a gliding pitch under two formants, in syllables."""
    time = np.arange(count) / SAMPLE_RATE
    pitch = rng.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * time + rng.uniform(0, 6.28)))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    formants = rng.uniform([300, 900], [800, 2200])
    voice = np.zeros(count)
    for harmonic in range(1, int(top_hz / pitch.mean()) + 1):
        hertz = harmonic * pitch.mean()
        level = np.exp(-(((hertz - formants) / 250) ** 2)).sum() + 0.1
        voice += level * np.cos(harmonic * phase + rng.uniform(0, 6.28))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(2, 6) * time + rng.uniform(0, 6.28))
    voice = voice * syllables
    return np.asarray(voice / np.abs(voice).max())


def _smooth(wave: Wave, width: int) -> Wave:
    """Rounded edges: a Hann window of `width` samples."""
    if width < 3:
        return wave
    window = np.hanning(width + 2)[1:-1]
    return np.asarray(np.convolve(wave, window / window.sum(), mode="same"))


def _analytic(wave: Wave) -> NDArray[np.complex128]:
    """The signal without its negative frequencies."""
    spectrum = np.fft.fft(wave)
    half = len(wave) // 2
    spectrum[1:half] *= 2
    spectrum[half + 1 :] = 0
    return np.asarray(np.fft.ifft(spectrum))
