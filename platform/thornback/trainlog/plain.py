"""Progress without a bar: dicts, JSON lines, `step N of M`, `Epoch i/n`, a percentage alone."""

from __future__ import annotations

import re

from thornback.trainlog.fields import (
    loss_of,
    read_epoch,
    read_fields,
    read_pace,
    validation_loss_of,
)
from thornback.trainlog.names import phase_of, strip_prefix
from thornback.trainlog.numbers import NUMBER, WHOLE, count, duration, number
from thornback.trainlog.reading import Reading
from thornback.trainlog.sample import Phase

_STEP = re.compile(
    rf"(?<![a-z_./-])(?P<word>(?:global|train(?:ing)?|optimi[sz]er|current|completed?)?[ _]?"
    rf"(?:steps?|iter(?:ation)?s?|batch|updates?|it))(?:\((?P<split>[a-z]{{2,12}})\))?['\"]?\s{{0,3}}[:=#]?\s{{0,8}}"
    rf"[\[(]?\s{{0,10}}(?P<n>{WHOLE})(?![\d.]*(?:[a-z%-]|:\d))(?:\s{{0,3}}(?:/|of|"
    rf"out of)\s{{0,10}}(?P<total>{WHOLE})(?![\d./:-]))?",
    re.IGNORECASE,
)
_COUNT_FIRST = re.compile(
    rf"(?<![\w./:-])(?P<n>{WHOLE}) ?(?:/|of|out of) ?(?P<total>{WHOLE}) (?P<word>(?:train(?:ing)? )?(?:steps|"
    rf"iterations|iters|batches|updates))\b",
    re.IGNORECASE,
)
# `Epoch: 1 [640/60000 (1%)]`, `Epoch: [3]  [ 100/1251]`, `Epoch 3 [100/1251]`, `epoch 001:    100 / 5000 loss=…`
_EPOCH_BATCH = re.compile(
    rf"(?:epoch(?:\((?P<split>[a-z]{{2,12}})\))?|"
    rf"\btrain):?\s{{0,3}}\[?\s{{0,3}}(?P<epoch>\d{{1,6}})(?:/(?P<epochs>\d{{1,6}}))?\]?\s{{0,3}}"
    rf"(?:\[|:\s{{1,3}})\s{{0,10}}(?P<n>{WHOLE})\s{{0,4}}/\s{{0,10}}(?P<total>{WHOLE})(?![\d/:-])",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"^\s*[\[(]?\s{{0,6}}(?P<n>{WHOLE})\s?/\s?(?P<total>{WHOLE})\s{{0,3}}[\])]?\s*(?P<rest>[:,|-]?.{{0,400}})$"
)
_NAMED = re.compile(
    rf"^(?P<name>[A-Za-z][\w -]{{0,60}}?)[:=.\s]{{1,5}}(?:\d{{1,3}}(?:\.\d{{1,4}})? ?% )?[\[(]?"
    rf"(?P<n>{WHOLE})\s?/\s?(?P<total>{WHOLE})(?![\w/:.%-])"
)
_PERCENT = re.compile(
    r"^(?P<name>[^%|]{0,120}?)[\s:=\[(]{0,4}(?<![\d.,])(?P<percent>\d{1,3}(?:[.,]\d{1,4})?) ?%[\])]?"
    r"\s{0,3}(?P<after>complete[d]?|done|finished|of training)?[\s.…|]*(?P<rest>[^\w].{0,200})?$",
    re.IGNORECASE,
)
_NOT_PROGRESS = re.compile(
    r"acc|error|\bw?cer\b|\bwer\b|memory|\bmem\b|gpu|cpu|util|loss|dropout|[vd]?ram\b|disk|precision|recall|"
    r"\bf1\b|\bmap\b|match|rate|ratio|"
    r"score|spars|temp|batter|power|usage|used|keep|confid|probab|\bprob\b|warm|trainable|param|share|split|"
    r"fraction|throughput|mfu|cache hit|"
    r"improve|decrease|increase|reduc|drop|overhead|discount|threshold|quantile|percentile|coverage|fps|speed|"
    r"clip|ema|momentum",
    re.IGNORECASE,
)
_PROGRESS = re.compile(r"progress|train|step|epoch|fine.?tun|iteration|complete|status", re.IGNORECASE)
_DOCKER = re.compile(r"^\s*:\s*(?:FROM|RUN|COPY|ADD|WORKDIR|ENV|CMD|ENTRYPOINT|ARG|EXPOSE|LABEL|USER|VOLUME|SHELL)\b")
_SETTINGS = re.compile(
    r"^\s*(?:Namespace\(|TrainingArguments|Config|args\b|\w{2,40}Config\(|python |accelerate |torchrun |\$ |--)", re.I
)
_SCHEDULE = re.compile(
    r"\b(?:every|each|per|after|until|max(?:imum)?|total|warm.?up|for|save|log(?:ging)?|num(?:ber of)?)[ _]?$", re.I
)
_DONE = re.compile(r"\b(?:finished|completed?|done|ended|took|summary|end of)\b", re.IGNORECASE)
_PAIR = re.compile(
    rf"['\"](?P<key>[A-Za-z_][\w/. -]{{0,60}})['\"]\s{{0,3}}:\s{{0,3}}(?:['\"](?P<text>[^'\"]{{0,60}})['\"]|"
    rf"(?P<bare>{NUMBER}|null|None))",
    re.IGNORECASE,
)
_IS_NUMBER = re.compile(rf"^(?:{NUMBER})$", re.IGNORECASE)
_BEFORE_DICT = 80  # characters
_DICT_STEP = ("current_steps", "global_step", "step", "iteration", "iter", "steps")
_DICT_TOTAL = ("total_steps", "max_steps", "total_step", "total_iterations", "num_training_steps")


def find_plain(text: str) -> Reading | None:
    """What a line without a bar says of progress; None for nearly every line."""
    speaks = has_words(text)
    if speaks and "{" in text and (reading := _dict(text)):
        if reading.n is None and (found := _STEP.search(text[: text.index("{")][-_BEFORE_DICT:])):
            reading.n = count(found["n"])
        return reading
    reading = _counts_alone(text.strip()) if "/" in text else None
    if reading or not (speaks or "%" in text or "/" in text):
        return reading
    body = strip_prefix(text)
    reading = _sentence(body or text) if speaks else None
    if reading is None and "/" in text:
        reading = _counts_named(body)
    if reading is None and "%" in text:
        reading = _percent_alone(body)
    if reading is None and "/" in text and len(body) != len(text):
        reading = _counts_alone(body)
    return reading


def has_words(text: str) -> bool:
    """Whether one of the words of progress is in it: a few substring searches, for most lines have none."""
    lowered = text.lower()
    return (
        "step" in lowered
        or "loss" in lowered
        or "epoch" in lowered
        or "iter" in lowered
        or "batch" in lowered
        or "update" in lowered
        or "train_runtime" in lowered
    )


def _dict(text: str) -> Reading | None:
    pairs: dict[str, float | str] = {}
    for found in _PAIR.finditer(text, text.index("{")):
        raw = found["text"] if found["text"] is not None else found["bare"]
        pairs[found["key"].lower()] = number(raw) if _IS_NUMBER.match(raw.strip()) else raw
    if not pairs:
        return None
    step, total = _first(pairs, _DICT_STEP), _first(pairs, _DICT_TOTAL)
    loss = loss_of(text)
    evaluation = validation_loss_of(text)
    if loss is None and evaluation is None and not (step and total) and "train_runtime" not in pairs:
        if not any(key.startswith(("eval_", "eval/")) for key in pairs):
            return None
        evaluation = float("nan")
    reading = Reading(n=_whole(step), total=_whole(total) or None, loss=loss, text=text, record=True)
    if loss is None and (evaluation is not None):
        reading.phase = Phase.EVALUATING
        reading.loss = None if evaluation != evaluation else evaluation
    reading.lr = _first(pairs, ("learning_rate", "lr", "train/learning_rate", "train/lr"))
    reading.epoch = _first(pairs, ("epoch", "train/epoch", "current_epoch"))
    reading.epochs = _whole(_first(pairs, ("total_epochs", "num_epochs", "epochs"))) or None
    reading.percent = _first(pairs, ("percentage", "progress_percent", "percent"))
    left = pairs.get("remaining_time", pairs.get("eta", pairs.get("eta_seconds")))
    reading.eta = left if isinstance(left, float) else duration(left) if left else None
    reading.rate = _first(pairs, ("train_steps_per_second", "steps_per_second", "it/s", "eval_steps_per_second"))
    if reading.phase is None and step is None and loss is not None and not _is_log(pairs):
        return None
    return reading


def _is_log(pairs: dict[str, float | str]) -> bool:
    """A configuration may hold a key `loss` too, among many words."""
    words = sum(isinstance(value, str) for value in pairs.values())
    return words <= max(2, len(pairs) // 2)


def _first(pairs: dict[str, float | str], keys: tuple[str, ...]) -> float | None:
    for key in keys:
        value = pairs.get(key)
        if isinstance(value, float):
            return value
    return None


def _whole(value: float | None) -> int | None:
    return int(value) if value is not None and value == value and abs(value) < 1e15 else None


def _sentence(text: str) -> Reading | None:
    if _SETTINGS.match(text):
        return None
    reading = Reading(text=text)
    head = _read_counts(text, reading)
    if head is None:
        return None
    read_fields(text, reading)
    if reading.n is None and reading.epochs is None and (reading.epoch is None or reading.loss is None):
        return _loss_alone(text, reading)
    if (
        reading.total is None
        and reading.epochs is None
        and not reading.is_evidence
        and validation_loss_of(text) is None
    ):
        return None
    reading.done = bool(_DONE.search(text)) or reading.loss is not None
    spoken = phase_of(head) if head.strip() else None
    if spoken not in (None, Phase.TRAINING, Phase.OTHER):
        reading.phase = spoken
    if reading.loss is None and (loss := validation_loss_of(text)) is not None:
        reading.phase, reading.loss = Phase.EVALUATING, loss
    read_pace(text, reading)
    return reading


def _read_counts(text: str, into: Reading) -> str | None:
    """Sets step and total; gives what stands before them, None where the line speaks of something else."""
    if found := _EPOCH_BATCH.search(text):
        into.n, into.total, into.epoch = count(found["n"]), count(found["total"]) or None, float(found["epoch"])
        into.epochs = count(found["epochs"]) if found["epochs"] else None
        into.per_epoch = True
        return text[: found.start()] + " " + (found["split"] or "")
    found = _COUNT_FIRST.search(text)
    best: re.Match[str] | None = found
    for candidate in () if found else _STEP.finditer(text):
        if _SCHEDULE.search(text[max(0, candidate.start() - 24) : candidate.start()]):
            continue
        if best is None or (candidate["total"] and not best["total"]):
            best = candidate
    read_epoch(text, into)
    if best is None:
        return _head_of_epoch(text)
    n, total = count(best["n"]), count(best["total"]) if best["total"] else None
    if (total is not None and (total == 0 or n > total)) or _DOCKER.match(text[best.end() :]):
        return None
    if _is_stage(text[best.end() :], total, text):
        return None
    if total is None and best["word"].lower().endswith("s") and loss_of(text) is None:
        return None
    into.n, into.total = n, total
    into.per_epoch = total is not None and into.epoch is not None and not best["word"].lower().startswith("global")
    split = best.groupdict().get("split") or ""
    return text[: best.start()] + " " + split


def _is_stage(rest: str, total: int | None, text: str) -> bool:
    """`Step 2/4: Loading the models`: stages of a script, not steps of a training."""
    words = re.match(r"\s?[\])]?\s?[:.-]\s?(?P<word>[A-Za-z]{3,30})\b(?!\s?[:=])", rest)
    return bool(total and total <= 12 and words and loss_of(text) is None)


def _head_of_epoch(text: str) -> str:
    place = text.lower().find("epoch")
    return text[:place] if place > 0 else ""


def _loss_alone(text: str, reading: Reading) -> Reading | None:
    lowered = text.lower()
    if reading.loss is not None and re.match(
        r"[|>\s]*(?:(?:train(?:ing)?|step|avg|mean|total|current)[_ /]?)?loss\b", lowered
    ):
        return reading
    if reading.loss is None and re.match(r"[|>\s]*(?:val|valid|validation|eval)[_ /]?loss\b", lowered):
        reading.phase, reading.loss = Phase.EVALUATING, validation_loss_of(text)
        return reading if reading.loss is not None else None
    return None


def _counts_alone(text: str) -> Reading | None:
    """`150/1000`, `[10/100] loss: 0.5`; a path, a date or a stage of a build has other words after it."""
    found = _ALONE.match(text)
    if not found or not (0 <= count(found["n"]) <= count(found["total"])) or not count(found["total"]):
        return None
    rest = found["rest"].strip()
    if rest and loss_of(rest) is None:
        return None
    reading = Reading(n=count(found["n"]), total=count(found["total"]), text=text)
    read_fields(rest, reading)
    read_pace(rest, reading)
    return reading


def _counts_named(text: str) -> Reading | None:
    """`Training progress: 310/1000 (31.0%)`, `Training... 31% (310/1000)`."""
    found = _NAMED.match(text)
    if not found or _NOT_PROGRESS.search(found["name"]) or phase_of(found["name"]) is not Phase.TRAINING:
        return None
    n, total, rest = count(found["n"]), count(found["total"]), text[found.end() :]
    if not 0 <= n <= total or not total or _DOCKER.match(rest) or _is_stage(rest, total, text):
        return None
    reading = Reading(n=n, total=total, text=text)
    read_fields(rest, reading)
    read_pace(rest, reading)
    return reading


def _percent_alone(text: str) -> Reading | None:
    """`flux_train_replicate: 31%`, `Progress: 31%`, `31% complete`; never an accuracy or a share of memory."""
    found = _PERCENT.match(text)
    if not found:
        return None
    name, percent = found["name"].strip(" :=-[("), float(found["percent"].replace(",", "."))
    if percent > 100 or _NOT_PROGRESS.search(name) or (found["rest"] and loss_of(found["rest"]) is None):
        return None
    reading = Reading(name=name, percent=percent, text=text)
    spoken = phase_of(name) if name else None
    if spoken not in (None, Phase.TRAINING):
        reading.phase = spoken
        return reading
    if not name and not found["after"]:
        return None
    if not (found["after"] or _PROGRESS.search(name)):
        reading.phase = Phase.OTHER
    return reading
