"""Whatever file of cluster/: its settings exist, its values are taken, and no secret stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contracts.cluster.files import CLUSTER, shipped
from thornback.node.environment import NODE_ID_VARIABLE
from thornback.secret_settings import SUFFIX, private_variables
from thornback.settings import ENV_PREFIX, Settings

NAMES = {ENV_PREFIX + name.upper() for name in Settings.model_fields} | private_variables(Settings) | {NODE_ID_VARIABLE}
PLACEHOLDER = "CHANGE-ME"


@pytest.mark.parametrize("path", shipped(), ids=lambda path: str(path.relative_to(CLUSTER)))
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(rf"{ENV_PREFIX}[A-Z0-9_]+", path.read_text()))
    assert named - NAMES == set()


@pytest.mark.parametrize("path", shipped(), ids=lambda path: str(path.relative_to(CLUSTER)))
def test_no_secret_has_a_value(path: Path) -> None:
    """A secret is named: by a file, by a reference, or by the place where one is to be put in."""
    text = path.read_text()
    given = re.findall(r"\b([A-Z0-9_]*(?:PASSWORD|SECRET|TOKEN|KEY)[A-Z0-9_]*)\s*[=:][ \t]*(\S+)", text)
    values = [
        (name, value)
        for name, value in given
        if not name.endswith((SUFFIX, "_PATH", "_MODE"))
        and PLACEHOLDER not in value
        and not value.startswith(("$", "tbk_…", "'$", '"$'))
    ]
    assert values == []
    passwords = [found for found in re.findall(r"://[^/\s:@]+:([^@\s/]+)@", text) if PLACEHOLDER not in found]
    assert [found for found in passwords if not found.startswith("$")] == []


def test_the_example_of_settings_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = [line for line in (CLUSTER / "thornback.env.example").read_text().splitlines() if "=" in line]
    for name, value in (line.split("=", 1) for line in lines if line.startswith(ENV_PREFIX)):
        monkeypatch.setenv(name, value.strip("'"))
    settings = Settings(home=tmp_path)
    assert settings.cluster_limits["GPU"] == 6
    assert settings.has_access_control
