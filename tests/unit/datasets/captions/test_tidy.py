"""What is a caption, and what is only noise of a broken model."""

from __future__ import annotations

import pytest

from thornback.datasets.captions.tidy import problem_of, tidied


@pytest.mark.parametrize(
    ("said", "caption"),
    [
        ("  a red fox\n in the snow ", "a red fox in the snow"),
        ("</s><s>a red fox</s>", "a red fox"),
        ("[DEC] a red fox [PAD] [PAD]", "a red fox"),
        ("<|im_start|>a red fox<|im_end|>", "a red fox"),
        ('"A red fox."', "A red fox."),
        ("\u201cA red fox.\u201d", "A red fox."),
        ("Sure! Here is a caption: a red fox", "a red fox"),
        ("Caption: a red fox", "a red fox"),
        ("a caption: of a museum piece", "a caption: of a museum piece"),
        ("5 < 6 and 7 > 2", "5 < 6 and 7 > 2"),
    ],
)
def test_tidied(said: str, caption: str) -> None:
    assert tidied(said) == caption


@pytest.mark.parametrize(
    "caption",
    [
        "a red fox sits in the snow under a tree",
        "A man in a hat.",
        "The image shows a woman with a dog and a man with a cat on a bench in a park on a day in May.",
        "two dogs, two cats, two birds and two fish",
        "une renarde rousse, assise dans la neige",
        "кошка сидит на окне",
        "雪の中に座る赤い狐",
        "close-up of a 1967 Ford Mustang's grille, f/1.8, 35 mm",
    ],
)
def test_captions(caption: str) -> None:
    assert problem_of(caption) is None


@pytest.mark.parametrize(
    ("noise", "problem"),
    [
        ("", "empty"),
        ("fox", "single word"),
        ("the the the the the the the the the", "says 'the' 9 times"),
        ("a fox a fox " * 10, "repeats itself"),
        ("a fox in a fox in a tree in a fox in a tree in a fox in", "repeats itself"),
        ("\ufffd\ufffd\ufffd fox snow", "characters that are none"),
        ("fox \x06 snow", "characters that are none"),
        ("#$%&! 92 ]] fox ~~~~ 817", "letters"),
        ("foxsnowtreeredwhitesitsrunsunderin the snow", "a word of 34 letters"),
        ("word " * 500, "2500 characters"),
    ],
)
def test_noise(noise: str, problem: str) -> None:
    assert problem in str(problem_of(noise))
