"""Lines per second through the log parser, and the share of the corpus that it reads right.

    python -m tests.benchmarks.trainlog_parse [--lines 200000]

Beside it in the same run, on the same text: `str.splitlines` with one regular expression for `percent| n/total`,
which is what a quick tracker would do. It knows no phase, no rate and no loss; of it the share is counted of the
training lines alone, by step and total, and a bar of something else that it takes for training is an error.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable

from tests.unit.trainlog.corpus import Case, agrees, cases
from thornback.trainlog.parser import LogParser, parse
from thornback.trainlog.sample import Phase

NAIVE = re.compile(r"(\d+)%\|.*?\| *(\d+)/(\d+)")
CHUNK = 65_536
TEXTS = {
    "lines without progress": [
        "2024-06-01 10:00:00,123 INFO     unet dtype: torch.float8_e4m3fn, device is cuda                  train.py",
        "/src/ai-toolkit/extensions_built_in/sd_trainer/SDTrainer.py:61: FutureWarning: GradScaler is deprecated.",
        "Loading transformer blocks in the usual way",
        "  warnings.warn(",
    ],
    "bars": [
        "flux_train_replicate:  83%|████████▎ | 2482/3000 [43:27<09:04,  1.05s/it, lr: 4.0e-04 loss: 2.472e-01]",
        "steps:   2%|▏         | 82/3280 [01:40<1:05:00,  1.22s/it, avr_loss=nan]",
    ],
    "dicts": ["{'loss': 2.1345, 'grad_norm': 1.25, 'learning_rate': 4.9e-05, 'epoch': 0.04}"],
}


def ours(text: str) -> int:
    """Fed as it would arrive."""
    parser = LogParser()
    found = sum(len(parser.feed(text[at : at + CHUNK])) for at in range(0, len(text), CHUNK))
    return found + len(parser.close())


def naive(text: str) -> int:
    """Split and search."""
    return sum(NAIVE.search(line) is not None for line in text.splitlines())


def rate(read: Callable[[str], int], text: str, lines: int) -> float:
    """Lines per second, the best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        read(text)
        best = min(best, time.perf_counter() - began)
    return lines / best


def right(case: Case) -> tuple[int, int]:
    """(lines read exactly, lines)."""
    parser, good = LogParser(steps=case.steps, job_name=case.job_name), 0
    for line in case.lines:
        samples = parser.feed(line.text + "\n")
        good += len(samples) == len(line.expected) and all(map(agrees, samples, line.expected))
    return good, len(case.lines)


def naively_right(case: Case) -> tuple[int, int]:
    """(lines of which training's last step and total are read, and nothing is where there is no training; lines)."""
    good = 0
    for line in case.lines:
        bars = [(int(n), int(total)) for _, n, total in NAIVE.findall(line.text)]
        told = [
            (sample.get("step"), sample.get("total")) for sample in line.expected if sample["phase"] == Phase.TRAINING
        ]
        good += bars[-1:] == told[-1:]
    return good, len(case.lines)


def share(name: str, counts: list[tuple[int, int]]) -> None:
    good, lines = (sum(column) for column in zip(*counts, strict=True))
    print(f"  {name:<44}{good:6d} of {lines} lines   {100 * good / lines:6.2f} %")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=200_000)
    count: int = options.parse_args().lines
    corpus = cases()
    everything = "".join(case.text for case in corpus)
    texts = {name: "\n".join((lines * (count // len(lines) + 1))[:count]) for name, lines in TEXTS.items()}
    repeats = max(1, count // everything.count("\n"))
    texts["the corpus, over and over"] = everything * repeats
    print("lines per second")
    for name, text in texts.items():
        lines = text.count("\n") + 1
        own, plain = rate(ours, text, lines), rate(naive, text, lines)
        print(f"  {name:<28}{own:12,.0f}   one regular expression {plain:12,.0f}   {own / plain:6.3f} x")
    print(f"read right, of {len(corpus)} logs")
    share("parser: every field of every sample", [right(case) for case in corpus])
    share("one regular expression: step and total only", [naively_right(case) for case in corpus])
    assert parse(everything)


if __name__ == "__main__":
    main()
