"""The words before a bar or a number: what is theirs, and which phase they speak of."""

from __future__ import annotations

import re

from thornback.trainlog.sample import Phase

_LONGEST = 240

# What loggers, containers and launchers put before a line.
_PREFIX = re.compile(
    r"^(?:"
    r"\s+"
    r"|(?:\\[rnt])+"
    r"|\[(?![^\]]{0,80}(?:\bepoch|\bstep|\bbatch|\biter\b|\biteration))(?!\s*\d+\s*/\s*\d+\s*\])[^\[\]]{1,80}\]:?"
    r"|\([A-Za-z_][\w .:-]{0,60}(?:pid|ip|rank)=[^()]{1,60}\)"
    r"|\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?"
    r"|\d{2}[-/]\d{2}[-/]\d{4} \d{2}:\d{2}:\d{2}(?:[.,]\d{1,6})?"
    r"|\d{4}-\d{2}-\d{2}(?=\s|$)|\d{2}:\d{2}:\d{2}(?:[.,]\d{1,6})?(?=[\s|:-]|$)"
    r"|(?:stdout|stderr) [FP](?=\s|$)"
    r"|(?:TRACE|DEBUG|INFO|WARNING|WARN|ERROR|STDERR|STDOUT|stderr|stdout)\b:?(?:[\w.]{1,60}:)?"
    r"|[\w.-]{1,60}\s+\|(?=\s|$)"
    r"|__main__|(?:[\w]{1,40}\.){1,8}[\w]{1,40}:\d{1,5}|\d{1,4}:(?=\s)|[a-z][\w-]{0,60}\d:(?=\s+\S{0,40}:)"
    r"|[|>-]{1,3}(?=\s)"
    r")"
)
# Where an earlier sentence on the same line ends.
_CLAUSE = re.compile(r"(?:[.!;…](?=\s)|\}|\)\s{2,}|\]\s|\s{3,}|\\[rnt]|(?<=\s)[|`](?=\s?[^|]{0,60}$))")

_DOWNLOADING = (
    r"download|fetch|pulling|\bpull\b|\.(?:safetensors|bin|ckpt|pth?|gguf|json|model|zip|tar|parquet|onnx|msgpack)\b"
)
_LOADING = (
    r"\bload|\breload|loading|extract|unzip|unpack|untar|import|\bread(?:ing)?\b|initiali|quantiz|\bcasting\b|"
    r"\bfus(?:e|ing)\b|merging|\bconvert|compil|\bshards\b|materializ|dequant"
)
_EVALUATING = (
    r"\bvalid(?:at\w*)?\b|\bval\b|\bevalu|\beval|\btest(?:ing)?\b|\btest_|_test\b|sanity.check|\bpredict|"
    r"\binference\b|\binfer\b|\bscor(?:e|ing)|benchmark|\bdev\b|\bbleu\b|\bwer\b|map50"
)
_SAMPLING = (
    r"(?<!re)\bsampl(?:ing|e images?|es?\b(?! ?(?:/|per)))|\bgenerat|\bdenois|\brender|\bpreview|synthesi|"
    r"\bddim|\binpaint|\bimg2img|\bdecod(?:e|ing)"
)
_CAPTIONING = r"caption|\bblip|florence|llava|joycaption|\btagg(?:ing|er)|\bwd14|interrogat|\bdescribing"
_CACHING = (
    r"\bcach(?:e\b|es\b|ing)|latent|text.?encoder.?out|text.?embed|prompt.?embed|precomput|\bpre.?encod|"
    r"\bencod(?:e|ing)|\bembedding"
)
_PREPARING = (
    r"\bmap\b|\bmap \(|\bfilter|tokeniz|tokenis|flatten|\bshuffl|\bpack(?:ing|ed)?\b|bucket|pre.?process|"
    r"process(?:ing|ed)?\b|prepar|\bcrop|resiz|\bscan|\bindex|dedup|collat|\bgroup(?:ing)? |"
    r"generating \w+ split|\bsplit|\bdataset|\btruncat|chat template|\badding\b|\bbuild(?:ing)?\b|creating|"
    r"checking|verify|collect|comput|analy[sz]|warm.?up|\bcopy|casting the|running tokenizer|format of|"
    r"segment|\bcalibrat|image sizes"
)
_SAVING = (
    r"\bsav(?:e|es|ed|ing)\b|upload|\bwrit(?:e|ing)\b|\bcheckpointing\b|\bexport|\bpush(?:ing)?\b|\bdump|"
    r"\bzipp|\bcompress|\bhash|\bfiles \("
)

# The first that is found wins; a split is generated before a picture is, captions before both.
_ORDER = (
    (Phase.CAPTIONING, _CAPTIONING),
    (Phase.PREPARING, r"generating \w+ split|num_proc|\btokeniz|\bdataset\b"),
    (Phase.EVALUATING, _EVALUATING),
    (Phase.DOWNLOADING, _DOWNLOADING),
    (Phase.LOADING, _LOADING),
    (Phase.CACHING, _CACHING),
    (Phase.SAVING, _SAVING),
    (Phase.SAMPLING, _SAMPLING),
    (Phase.PREPARING, _PREPARING),
)
_WORDS = tuple((phase, re.compile(pattern, re.IGNORECASE)) for phase, pattern in _ORDER)
_ANY_WORD = re.compile("|".join(pattern for _, pattern in _ORDER), re.IGNORECASE)
_NEUTRAL = re.compile(
    r"data.?loader|text.?to.?image|lora.?encoder|train.?text.?encoder|eval(?:uation)?[ _]strategy", re.IGNORECASE
)

_TRAINING = re.compile(
    r"train|\bsteps?\b|\bepochs?\b|\biter(?:ation)?s?\b|fine.?tun|optimi[sz]ation|\bfit(?:ting)?\b|\blora\b|"
    r"dream.?booth|\bprogress\b|\blearning\b|\bglobal.step|\bsft\b|\bdpo\b|\bgrpo\b|学習|訓練|训练|進捗|进度",
    re.IGNORECASE,
)
_STEPS = re.compile(
    r"(?:^|[^\w-])(?:global |train(?:ing)?[ _]|optimi[sz](?:er|ation) )?(?:steps?|iterations?)$", re.IGNORECASE
)
_OTHER_STEPS = re.compile(
    r"(?:sampl|infer|denois|eval|valid|\bval\b|test|warm.?up|diffusion|generat|predict|decod|cach|calibrat)\w*"
    r"(?:[ _-]\w{1,12}){0,2}[ _-]steps?$",
    re.IGNORECASE,
)
_THINGS = re.compile(
    r"^(?:images?|files?|videos?|clips?|batch(?:es)?|frames?|pages?|layers?|shards?|blocks?|params?|"
    r"parameters|weights?|keys?|tokens?|items?|"
    r"examples?|samples?|rows?|records?|chunks?|prompts?|tensors?|modules?|models?|tiles?|seeds?|folders?|"
    r"pipeline components?|objects?|workers?|"
    r"accuracy|acc|error|memory|mem|gpu|cpu|vram|ram|disk|util\w*|usage|battery|temp\w*)\b[\s.…]*$",
    re.IGNORECASE,
)
_DOING = re.compile(r"^(?:re|pre|de|un|dis)?[a-z]{2,}ing\b", re.IGNORECASE)


def clean_name(before: str) -> tuple[str, str]:
    """(text of its own before the name, name): the part of a line before a bar, cut in two.

    tqdm puts ": " behind a description. Without it the words are glued to the bar and not its name, unless they
    are short and speak of a phase.
    """
    stripped = before.rstrip()
    named = stripped.endswith(":")
    stripped = stripped.removesuffix(":").rstrip() if named else stripped
    body = stripped[-_LONGEST:]
    cut = 0
    for found in _CLAUSE.finditer(body):
        if found.end() < len(body):
            cut = found.end()
    name = strip_prefix(body[cut:])
    if not named and (
        stripped.endswith(("}", ")", "]", ".", "!")) or len(name) > 40 or len(name.split()) > 4 or not _speaks(name)
    ):
        return (stripped, "") if strip_prefix(body) else ("", "")
    glued = stripped[: len(stripped) - len(body) + cut] if cut else stripped[: max(0, len(stripped) - _LONGEST)]
    return glued.strip() if strip_prefix(glued) else "", name


def strip_prefix(text: str) -> str:
    """Without time stamps, log levels, ranks and container names before it."""
    for _ in range(12):
        found = _PREFIX.match(text)
        if not found or not found.end():
            break
        text = text[found.end() :]
    return text.strip(" :")


def phase_of(name: str) -> Phase | None:
    """The phase that words speak of; None where they say nothing."""
    name = _NEUTRAL.sub(" ", name)
    if _STEPS.search(name) and not _OTHER_STEPS.search(name):
        return Phase.TRAINING
    if _ANY_WORD.search(name):
        return next(phase for phase, words in _WORDS if words.search(name))
    if _TRAINING.search(name):
        return Phase.TRAINING
    if _THINGS.match(name) or _DOING.match(name):
        return Phase.OTHER
    return None


def names_steps(name: str) -> bool:
    """`steps`, `Steps`, `Epoch 1/3, Steps`: the bar of a whole run, by its own word."""
    return bool(_STEPS.search(name)) and not _OTHER_STEPS.search(name)


def _speaks(name: str) -> bool:
    return bool(_TRAINING.search(name) or _ANY_WORD.search(name))
