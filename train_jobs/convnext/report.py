"""The figures of a finished run as files: JSON for programs, CSV and SVG of the confusion matrix for people."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from io import StringIO
from typing import Any

import orjson

from train_jobs.convnext.state import Best

_CELL, _MARGIN = 44, 110  # pixels


def report_files(classes: Sequence[str], best: Best, test: Best | None, summary: Mapping[str, Any]) -> dict[str, bytes]:
    """Name -> content. The matrices are left out where nothing was held out."""
    figures = {
        "summary": dict(summary),
        "classes": list(classes),
        "best": asdict(best),
        "test": None if test is None else asdict(test),
    }
    files = {"metrics.json": orjson.dumps(figures, option=orjson.OPT_INDENT_2)}
    judged = test if test is not None and test.confusion else best
    if judged.confusion:
        files["confusion_matrix.csv"] = confusion_csv(classes, judged.confusion)
        files["confusion_matrix.svg"] = confusion_svg(classes, judged.confusion)
    return files


def confusion_csv(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> bytes:
    """True classes in rows, predicted ones in columns."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *classes])
    for name, row in zip(classes, confusion, strict=True):
        writer.writerow([name, *row])
    return text.getvalue().encode()


def confusion_svg(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> bytes:
    """A heat map; the shade is the share of the true class."""
    size = _MARGIN + _CELL * len(classes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" font-family="sans-serif" '
        f'font-size="12" text-anchor="middle"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for place, name in enumerate(classes):
        middle = _MARGIN + _CELL * place + _CELL // 2
        parts.append(f'<text x="{_MARGIN - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<text x="{middle}" y="{_MARGIN - 8}" text-anchor="start" '
            f'transform="rotate(-45 {middle} {_MARGIN - 8})">{escape(name)}</text>'
        )
    for row, counts in enumerate(confusion):
        total = max(sum(counts), 1)
        for column, count in enumerate(counts):
            parts.append(_cell(_MARGIN + _CELL * column, _MARGIN + _CELL * row, count, count / total))
    return "".join([*parts, "</svg>"]).encode()


def _cell(x: int, y: int, count: int, share: float) -> str:
    ink = "#fff" if share > 0.5 else "#123"
    text = f'<text x="{x + _CELL // 2}" y="{y + _CELL // 2 + 4}" fill="{ink}">{count}</text>' if count else ""
    return (
        f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="#1f5f8b" '
        f'fill-opacity="{share:.3f}" stroke="#ccd"/>{text}'
    )
