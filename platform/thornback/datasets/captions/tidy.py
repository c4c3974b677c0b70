"""Is what a model said a caption at all? Models with broken weights answer too, only not with words."""

from __future__ import annotations

import re
from collections import Counter

MOST_CHARACTERS = 2000

_MARKUP = re.compile(r"</?[A-Za-z_][\w|-]*>|<\|[^|>]*\|>|\[(?:PAD|UNK|CLS|SEP|MASK|DEC|ENC)\]", re.IGNORECASE)
_LEAD_IN = re.compile(
    r"^(?:(?:sure|certainly|of course)[,!.]\s*)?(?:here(?: is|'s) (?:a|the) caption:?|caption:)\s*", re.I
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_LONGEST_WORD = 30
_LEAST_LETTERS = 0.6  # share of the characters that are letters or spaces
_LEAST_WORDS = 2
_ENOUGH_TO_COUNT = 8  # words
_LEAST_DIFFERENT = 0.34  # share of the words that are different ones; English captions of 60 words have 0.6
_MOST_OF_ONE = 0.5  # share that one word may have


def tidied(said: str) -> str:
    """The caption alone: on one line, without a tokenizer's marks, quotes around it, and "Here is a caption:"."""
    text = " ".join(_MARKUP.sub(" ", said).split())
    text = _LEAD_IN.sub("", text).strip()
    if len(text) > 1 and text[0] in "\"'\u201c" and text[-1] in "\"'\u201d":
        text = text[1:-1].strip()
    return text


def problem_of(caption: str) -> str | None:
    """Why this is no caption, None where it is one. Knows nothing of what the picture shows.

    Args:
        caption: as `tidied` gives it.
    """
    if not caption:
        return "it is empty"
    if len(caption) > MOST_CHARACTERS:
        return f"it has {len(caption)} characters"
    if "\ufffd" in caption or not caption.isprintable():
        return "it has characters that are none"
    letters = sum(char.isalpha() or char.isspace() for char in caption) / len(caption)
    if letters < _LEAST_LETTERS:
        return f"only {letters:.0%} of it are letters"
    words = [word.lower() for word in _WORD.findall(caption)]
    if _is_spaced(caption):
        return _problem_of_words(words)
    return None


def _problem_of_words(words: list[str]) -> str | None:
    if len(words) < _LEAST_WORDS:
        return "it is a single word"
    longest = max(words, key=len)
    if len(longest) > _LONGEST_WORD:
        return f"it has a word of {len(longest)} letters"
    if len(words) >= _ENOUGH_TO_COUNT:
        word, count = Counter(words).most_common(1)[0]
        if count / len(words) > _MOST_OF_ONE:
            return f"it says {word!r} {count} times"
        if len(set(words)) / len(words) < _LEAST_DIFFERENT:
            return f"it repeats itself: {len(set(words))} different words of {len(words)}"
    return None


def _is_spaced(text: str) -> bool:
    """False for Chinese, Japanese and Thai, which put no spaces between words."""
    return not any("\u0e00" <= char <= "\u0e7f" or "\u3040" <= char <= "\u9fff" for char in text)
