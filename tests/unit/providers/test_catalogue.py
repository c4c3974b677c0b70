from __future__ import annotations

from pathlib import Path

import pytest

from thornback.errors import InvalidInput, SettingsError
from thornback.providers.catalogue import Catalogue, load_catalogue
from thornback.providers.entry import Trainer
from thornback.settings import Settings

ROW = """
[replicate.trainers.mine]
title = "Mine"
endpoint = "acme/trainer"
typical_s = 60
price = { per = "run", usd = 1.5 }
weights = ["."]
fields = { dataset = "data", steps = "n" }
[replicate.trainers.mine.inputs]
data = { type = "address", required = true }
n = { type = "integer", min = 10, max = 20, default = 15 }
"""


def _with(tmp_path: Path, text: str) -> Catalogue:
    file = tmp_path / "own.toml"
    file.write_text(text)
    return load_catalogue(Settings(home=tmp_path, catalogue=file))


@pytest.fixture
def built_in(tmp_path: Path) -> Catalogue:
    return load_catalogue(Settings(home=tmp_path))


def test_each_provider_has_one_default_of_each_kind(built_in: Catalogue) -> None:
    for provider in ("replicate", "fal"):
        rows = [row for row in built_in.list() if row.provider == provider and row.default]
        assert sorted(isinstance(row, Trainer) for row in rows) == [False, True]


def test_every_row_says_where_it_was_read(built_in: Catalogue) -> None:
    assert all(row.source for row in built_in.list())


def test_a_row_is_found_by_our_name_and_by_the_providers(built_in: Catalogue) -> None:
    default = built_in.trainer("replicate")
    assert default.name == "flux-dev-lora"
    for name in ("flux-dev-lora", "ostris/flux-dev-lora-trainer", default.endpoint):
        assert built_in.trainer("replicate", name) is default
    assert built_in.image_model("fal").application == "fal-ai/flux/schnell"
    assert built_in.by_endpoint("replicate", "ostris/flux-dev-lora-trainer:another") is default
    assert built_in.by_endpoint("fal", "ostris/flux-dev-lora-trainer") is None


def test_a_name_that_is_not_there_is_answered_with_those_that_are(built_in: Catalogue) -> None:
    with pytest.raises(InvalidInput, match=r"config\.trainer: fal has no 'nope'; there are: flux-lora-fast, "):
        built_in.trainer("fal", "nope")
    with pytest.raises(InvalidInput, match=r"config\.model"):
        built_in.image_model("replicate", "nope")


def test_a_user_adds_a_row(tmp_path: Path) -> None:
    catalogue = _with(tmp_path, ROW)
    assert catalogue.trainer("replicate", "mine").price.usd == 1.5
    assert catalogue.trainer("replicate").name == "flux-dev-lora"


def test_a_users_default_takes_the_place_of_ours(tmp_path: Path) -> None:
    catalogue = _with(tmp_path, ROW.replace("typical_s", "default = true\ntypical_s"))
    assert catalogue.trainer("replicate").name == "mine"
    assert [row.name for row in catalogue.list() if row.default and isinstance(row, Trainer)] == [
        "flux-lora-fast",
        "mine",
    ]


def test_a_user_replaces_a_whole_row(tmp_path: Path) -> None:
    row = _with(tmp_path, ROW.replace("trainers.mine", "trainers.flux-dev-lora")).trainer("replicate", "flux-dev-lora")
    assert (row.application, sorted(row.inputs)) == ("acme/trainer", ["data", "n"])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("typical_s = 60", "typical_s = 0", "replicate.trainers.mine.typical_s"),
        ("typical_s = 60", "typical_s = 60\nhue = 3", "replicate.trainers.mine.hue"),
        ("min = 10", "min = 30", "replicate.trainers.mine.inputs.n: min is greater than max"),
        ("default = 15", "default = 99", "replicate.trainers.mine.inputs.n: default: 99 is outside 10 to 20"),
        ('steps = "n"', 'steps = "m"', "replicate.trainers.mine: fields.steps: 'm' does not stand in inputs"),
        ('steps = "n"', 'hue = "n"', "replicate.trainers.mine: fields.hue: there are only"),
        ('dataset = "data", ', "", "replicate.trainers.mine: fields.dataset"),
        ('per = "run"', 'per = "moon"', "replicate.trainers.mine.price.per"),
        ('endpoint = "acme/trainer"', 'endpoint = "https://acme"', "replicate.trainers.mine.endpoint"),
        ("typical_s", 'call = "training"\ntypical_s', "replicate.trainers.mine: endpoint: a training needs"),
        ("typical_s", "fixed = { x = 1 }\ntypical_s", "replicate.trainers.mine: fixed: 'x'"),
        ("[replicate.", "[modal.", "modal"),
        ("[replicate.trainers.mine]", "[replicate.trainers.mine", "own.toml: it is no TOML"),
    ],
)
def test_a_wrong_row_names_itself_and_the_field(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in ROW
    with pytest.raises(SettingsError) as caught:
        _with(tmp_path, ROW.replace(old, new))
    assert told in caught.value.message
    assert "own.toml" in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"THORNBACK_CATALOGUE: .*gone\.toml cannot be read"):
        load_catalogue(Settings(home=tmp_path, catalogue=tmp_path / "gone.toml"))
