from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.artifacts import layout

STORAGE = "s3://bucket/base?region=us-east-1"


def test_the_layout_is_the_documented_one() -> None:
    assert layout.lora_uri(STORAGE, "ada", "job-1", 3) == "s3://bucket/base/loras/ada/job-1/v3?region=us-east-1"
    assert layout.loras_uri("/data", "ada", "job-1") == "/data/loras/ada/job-1"
    assert layout.dataset_uri("/data", "ada", "job-1") == "/data/datasets/ada/job-1"
    assert layout.temp_uri("/data", "job-1") == "/data/temp/job-1"
    assert layout.uploads_uri("/data") == "/data/uploads"
    assert layout.storage_key("/data", layout.lora_uri("/data", "ada", "j", 1)) == "loras/ada/j/v1"


@pytest.mark.parametrize("user", ["ada", "ada.lovelace", "user_42", "A-1"])
def test_a_plain_name_is_its_own_key(user: str) -> None:
    assert layout.user_key(user) == user


@pytest.mark.parametrize("user", ["", None])
def test_nobody_has_a_key_too(user: str | None) -> None:
    assert layout.user_key(user) == "local"


def test_names_that_look_alike_stay_apart() -> None:
    names = ["a/b", "a b", "a_b", "../a", "..", ".", "a@b.c", "Ä", "x" * 65, "x" * 66]
    names.append(layout.user_key("a/b"))  # a user of the very name that another's became
    keys = [layout.user_key(name) for name in names]
    assert len(set(keys)) == len(names)


@given(st.text(min_size=1))
def test_a_key_is_one_safe_part(user: str) -> None:
    key = layout.user_key(user)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", key)
