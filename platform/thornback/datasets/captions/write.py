"""The caption of each picture, from all that there is: a person's own words, a model's, measured facts, a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thornback.datasets.captioned import PLACEHOLDER, caption_for
from thornback.datasets.captions.facts import facts_of
from thornback.datasets.captions.port import Captioner
from thornback.datasets.captions.tidy import problem_of, tidied
from thornback.errors import DataError
from thornback.jobs.video_lora import CaptionOptions

SAID = "[caption]"  # in a template: where the model's words go
BY_USER, BY_TEMPLATE = "user", "template"

_MOST_REFUSED = 0.5  # share of a model's captions that may be none, from so many pictures on
_ENOUGH_TO_TELL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What stands beside one picture."""

    text: str
    by: str  # `user`, `template`, or the name of the model
    problem: str | None = None  # why the model's own words are not used


def write_captions(
    images: Sequence[Path],
    options: CaptionOptions,
    trigger_word: str,
    *,
    captioner: Captioner | None = None,
    own: Mapping[str, str] | None = None,
    tell: Callable[[float], None] | None = None,
) -> list[Caption]:
    """Caption each picture.

    Args:
        images: files of the pictures.
        options: the template, and whether measured facts are added.
        trigger_word: stands for [trigger], and is put in front of what does not hold it.
        captioner: a model; left out: the template alone.
        own: by the stems of files, what somebody wrote; it is taken as it is.
        tell: hears the share of pictures that is captioned.

    Returns:
        One for each picture, in their order.

    Raises:
        DataError: a picture cannot be read, or most of what the model said is no caption.
    """
    own = own or {}
    said = _said([path for path in images if path.stem not in own], captioner, tell) if captioner else {}
    refused = {path: problem for path, (_, problem) in said.items() if problem is not None}
    if len(said) >= _ENOUGH_TO_TELL and len(refused) > _MOST_REFUSED * len(said):
        path, problem = next(iter(refused.items()))
        raise DataError.field(
            "config.captions",
            f"{len(refused)} of {len(said)} captions of the model cannot be used, e.g. of {path.name}: {problem}; "
            "check that its weights are whole, or use the template",
        )
    return [_caption(path, options, trigger_word, own, captioner, said.get(path)) for path in images]


def compose(template: str, *, trigger_word: str, said: str = "", facts: str = "") -> str:
    """One caption. What has no place in the template follows it, parted by commas.

    >>> compose("a photo of [trigger]", trigger_word="ohwx", said="a red fox in the snow", facts="bright")
    'a photo of ohwx, a red fox in the snow, bright'
    """
    said = said.rstrip(".")
    parts = [template.replace(SAID, said)] if SAID in template else [template, said]
    text = ", ".join(part.strip(" ,") for part in (*parts, facts) if part.strip(" ,"))
    return caption_for(text or PLACEHOLDER, trigger_word)


def _said(
    images: Sequence[Path], captioner: Captioner, tell: Callable[[float], None] | None
) -> dict[Path, tuple[str, str | None]]:
    """What the model said of each, tidied, and why that is no caption."""
    said: dict[Path, tuple[str, str | None]] = {}
    for first in range(0, len(images), captioner.batch):
        batch = images[first : first + captioner.batch]
        for path, words in zip(batch, captioner.describe(batch), strict=True):
            text = tidied(words)
            said[path] = text, problem_of(text)
        if tell is not None:
            tell(len(said) / len(images))
    return said


def _caption(
    path: Path,
    options: CaptionOptions,
    trigger_word: str,
    own: Mapping[str, str],
    captioner: Captioner | None,
    said: tuple[str, str | None] | None,
) -> Caption:
    if path.stem in own:
        return Caption(text=caption_for(own[path.stem].strip(), trigger_word), by=BY_USER)
    words, problem = said or ("", None)
    used = "" if problem else words
    facts = facts_of(path) if options.facts else ""
    text = compose(options.template, trigger_word=trigger_word, said=used, facts=facts)
    return Caption(text=text, by=captioner.name if captioner and used else BY_TEMPLATE, problem=problem)
