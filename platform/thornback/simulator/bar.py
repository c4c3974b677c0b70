"""tqdm's bar, drawn without tqdm: its time is the simulator's."""

from __future__ import annotations

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WIDTH = 10


def draw(name: str, step: int, total: int, elapsed_s: float, *, unit: str = "it", tail: str = "") -> str:
    """One line of a bar; `tail` stands behind the rate, as tqdm's postfix does."""
    rate = step / elapsed_s if step and elapsed_s > 0 else None
    left = interval((total - step) / rate) if rate else "?"
    lead = f"{name}: " if name else ""
    times = f"{interval(elapsed_s)}<{left}, {_speed(rate, unit)}{f', {tail}' if tail else ''}"
    return f"{lead}{100 * step / total:3.0f}%|{_cells(step / total)}| {step}/{total} [{times}]"


def interval(seconds: float) -> str:
    """MM:SS, or H:MM:SS from an hour on."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"


def _speed(rate: float | None, unit: str) -> str:
    if rate is None:
        return f"?{unit}/s"
    return f"{rate:5.2f}{unit}/s" if rate >= 1 else f"{1 / rate:5.2f}s/{unit}"


def _cells(share: float) -> str:
    full, eighth = divmod(int(share * _WIDTH * 8), 8)
    cells = "█" * full + (_EIGHTHS[eighth] if full < _WIDTH else "")
    return cells.ljust(_WIDTH)[:_WIDTH]
