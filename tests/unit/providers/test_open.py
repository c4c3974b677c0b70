from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.providers.make import Clock
from thornback.errors import InvalidInput, SettingsError
from thornback.providers.open import configured, open_provider
from thornback.settings import Settings


def test_a_provider_needs_its_key(tmp_path: Path) -> None:
    neither = Settings(home=tmp_path, replicate_api_token=None, fal_key=None)
    both = Settings(home=tmp_path, replicate_api_token="r8_x", fal_key="id:secret")
    assert configured(neither) == ()
    assert configured(both) == ("replicate", "fal")
    for name, variable in (("replicate", "THORNBACK_REPLICATE_API_TOKEN"), ("fal", "THORNBACK_FAL_KEY")):
        with pytest.raises(SettingsError, match=variable):
            open_provider(name, neither, Clock())
        assert open_provider(name, both, Clock()).name == name


def test_there_are_two(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'modal' is none of replicate, fal"):
        open_provider("modal", Settings(home=tmp_path), Clock())
