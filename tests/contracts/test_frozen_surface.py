"""The public surface is what the files in `frozen/` say, and every part of it is explained."""

from __future__ import annotations

import json

import pytest

from tests.contracts.freeze import FOLDER, SURFACES


@pytest.mark.parametrize("name", SURFACES)
def test_it_has_not_changed_unnoticed(name: str) -> None:
    """After a wanted change: `python -m tests.contracts.freeze`, and commit the diff with the code."""
    assert SURFACES[name]() == (FOLDER / name).read_text(encoding="utf-8"), "run: python -m tests.contracts.freeze"


def test_there_is_no_other_file() -> None:
    assert {file.name for file in FOLDER.iterdir()} == SURFACES.keys()


def test_every_setting_says_what_it_is_for() -> None:
    described = json.loads(SURFACES["settings.json"]())
    assert [name for name, schema in described.items() if not schema.get("description")] == []
