"""Loss, learning rate, epoch and rate out of a bar's end, a dict or a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from thornback.trainlog.numbers import NUMBER, WHOLE, count, duration, number
from thornback.trainlog.reading import Reading

# `word loss suffix = value`; the word before it tells a validation loss from a training one.
_LOSS = re.compile(
    rf"(?<![a-z0-9])(?P<before>(?:[a-z]{{2,12}} )?(?:[a-z0-9_.:-]{{0,40}}[/_.:-])?(?:total|mean|"
    rf"avg)?)loss(?P<after>[a-z0-9_/]{{0,24}})"
    rf"['\"]?(?: value| ?\([a-z]{{1,12}}\))?\s{{0,8}}(?:[:=]|is |"
    rf"of )?\s{{0,8}}(?:tensor)?['\"(\[]{{0,2}}(?P<value>{NUMBER})",
    re.IGNORECASE,
)
_LR = re.compile(
    rf"(?<![a-z0-9])(?:[a-z]{{2,12}}[ _/-])?(?:lr|learning[ _-]?rate)(?:[-_/*][\w*/-]{{1,32}})?"
    rf"['\"]?\s{{0,8}}[:=]?\s{{0,8}}['\"(\[]{{0,2}}(?P<value>{NUMBER})",
    re.IGNORECASE,
)
_EPOCH = re.compile(
    rf"(?<![a-z])(?P<word>(?:global[ _])?epochs?)(?:[ _](?:no|number|idx|index))?(?:\([a-z]{{2,12}}\))?['\"]?"
    rf"\s{{0,4}}[:=#]?\s{{0,4}}['\"(\[]{{0,2}}\s{{0,4}}(?P<epoch>\d{{1,7}}(?:\.\d{{1,18}})?)['\"]?"
    rf"(?:\s{{0,4}}(?:/|of|out of)\s{{0,4}}(?P<epochs>{WHOLE}))?",
    re.IGNORECASE,
)
_NOT_TRAINING = re.compile(
    r"\b(?:val|valid|validation|eval|evaluation|test|dev|best|min|lowest|target|prev)[a-z]*(?:[\s_/.:-]|$)", re.I
)
_NO_LOSS = re.compile(r"scale|scaling|weight|type|fn|func|ratio|coef|factor|count|nan", re.I)
_RANK = ("loss", "train_loss", "train/loss", "training loss", "train loss", "training_loss")

_STEP_SECONDS = re.compile(
    r"(?:elapsed time per iteration|(?:iter|step|batch|per[- ]?step|time[_/ ]per[_ ](?:step|"
    r"iter))[ _/]?(?:time|duration)?|(?<![a-z] )(?<![a-z_])(?:time|dt))"
    r" ?(?P<unit>\((?:ms|s|sec)\))?\s{0,4}[:=]?\s{0,4}(?P<value>\d{1,9}(?:\.\d{1,9})?) ?(?P<suffix>ms|"
    r"s|sec|seconds)?(?![\w:/.])",
    re.IGNORECASE,
)
_PER_SECOND = re.compile(
    rf"(?:(?<![a-z])(?:ups|it/s(?:ec)?|its/s(?:ec)?|iters?/s(?:ec)?|steps?[/_](?:per_)?s(?:ec(?:ond)?)?|"
    rf"global_step/sec|batch(?:es)?/s(?:ec)?)['\"]?\s{{0,3}}[:=]?\s{{0,3}}['\"]?(?P<after>{NUMBER})"
    rf"|(?P<before>\d{{1,9}}(?:\.\d{{1,9}})?) ?(?:it|iters?|steps?|batch(?:es)?)/s(?:ec(?:ond)?)?\b)",
    re.IGNORECASE,
)
_PER_STEP = re.compile(
    r"(?P<value>\d{1,9}(?:\.\d{1,9})?) ?(?P<unit>ms|us|µs|s|sec|seconds)/(?:it|iter|step|batch)\b", re.IGNORECASE
)
_ETA = re.compile(
    r"(?<![a-z])(?:eta|remaining(?:[_ ]time)?|time[_ ](?:left|remaining)|est(?:imated)?[. _]time[_ ](?:left|"
    r"remaining))['\"]?"
    r"\s{0,4}[:=]?\s{0,4}['\"(\[]{0,2}(?P<value>\d[\d:., a-z]{0,30})",
    re.IGNORECASE,
)
_CLOCK_OR_PARTS = re.compile(
    r"(?:\d{1,4} ?d(?:ays?)?,? )?\d{1,6}(?::\d{1,2}){1,3}(?:\.\d+)?|(?:\d{1,6}(?:\.\d{1,6})? ?(?:days?|d|"
    r"hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)(?![a-z])[ ,]{0,2}){1,4}"
)
_UNIT_SECONDS = {"ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def read_fields(text: str, into: Reading) -> None:
    """Set the fields of `into` that `text` names and that are not known yet."""
    lowered = text.lower()
    if "loss" in lowered and into.loss is None:
        into.loss = loss_of(text)
    if into.lr is None and ("lr" in lowered or "learning" in lowered):
        found = _LR.search(text)
        into.lr = number(found["value"]) if found else None
    if "poch" in lowered and into.epoch is None:
        read_epoch(text, into)


def read_pace(text: str, into: Reading) -> None:
    """Steps per second and time left, for formats that say them in words."""
    if into.rate is None:
        into.rate = rate_of(text)
    if into.eta is None and (found := _ETA.search(text)):
        value = _CLOCK_OR_PARTS.match(found["value"])
        into.eta = duration(value[0]) if value else None


def read_epoch(text: str, into: Reading) -> None:
    """`Epoch 3/10`, `epoch: 1.25`, `Epoch [3]`, `'epoch': '0.5'`; not `epochs: 10`, which is a setting."""
    for found in _EPOCH.finditer(text):
        if found["word"].lower().endswith("s") and not found["epochs"]:
            continue
        into.epoch = float(found["epoch"])
        if found["epochs"] and count(found["epochs"]) >= into.epoch:
            into.epochs = count(found["epochs"])
        return


def loss_of(text: str) -> float | None:
    """The training loss, the plainest name first; never one of validation or testing."""
    best: tuple[int, float] | None = None
    for name, value in losses(text):
        rank = _RANK.index(name) if name in _RANK else len(_RANK)
        if not _NOT_TRAINING.search(name) and (best is None or rank < best[0]):
            best = rank, value
    return best[1] if best else None


def validation_loss_of(text: str) -> float | None:
    """`eval_loss`, `val_loss`, `Val loss`."""
    return next((value for name, value in losses(text) if _NOT_TRAINING.search(name)), None)


def losses(text: str) -> Iterator[tuple[str, float]]:
    """Every loss on the line with its whole name in lower case."""
    for found in _LOSS.finditer(text):
        if not _NO_LOSS.search(found["after"]):
            yield f"{found['before']}loss{found['after']}".lower().strip("_ "), number(found["value"])


def rate_of(text: str) -> float | None:
    """Steps per second from `3.2 step/s`, `ups=4.5`, `25ms/step`, `iter time (s): 0.5`, `time 12.3ms`."""
    if found := _PER_SECOND.search(text):
        return number(found["after"] or found["before"])
    if found := _PER_STEP.search(text):
        return _inverse(number(found["value"]) * _UNIT_SECONDS.get(found["unit"].lower(), 1.0))
    if found := _STEP_SECONDS.search(text):
        unit = (found["unit"] or found["suffix"] or "").strip("()").lower()
        if unit:
            return _inverse(float(found["value"]) * _UNIT_SECONDS.get(unit, 1.0))
    return None


def _inverse(value: float) -> float | None:
    return 1.0 / value if value > 0 else None
