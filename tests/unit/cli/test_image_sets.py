"""image-set and data send against the real API."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.fixtures.image_sets import failed, image_set, stored
from tests.unit.cli.conftest import LiveApi
from tests.unit.datasets.pictures_made import picture
from thornback.client import Client
from thornback.datasets.image_zip import check_zip
from thornback.errors import NotFound

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicate is set up."""
    monkeypatch.setenv("THORNBACK_REPLICATE_API_TOKEN", "r8_test")


def only_json(result: Result) -> Any:
    """The one JSON value that is all of stdout."""
    return json.loads(result.stdout)


def _made(live: LiveApi) -> str:
    """A set of three, of which the first is stored, the second failed and the third was never ordered."""
    job, told = live.run(image_set(live.platform))
    live.record(*stored(live.platform, told, 1), *failed(told, 2, order=2))
    return job.id


def test_create_from_a_template(live: LiveApi, run_cli: Run) -> None:
    template = ("--template", "photo of {character}, {view}", "--var", "view=front|side", "-n", 3)
    made = only_json(run_cli("image-set", "create", "ada", *template, "--seed", 5, "--set", "tags.for=test", "--json"))
    assert [item["prompt"] for item in made["items"]] == [
        "photo of ada, front",
        "photo of ada, side",
        "photo of ada, front",
    ]
    job = only_json(run_cli("list", "--kind", "image_set", "--json"))["jobs"][0]
    assert (job["id"], job["tags"]) == (made["id"], {"for": "test"})
    with Client(live.url) as client:
        assert client.get(made["id"]).config["seed"] == 5


def test_create_from_a_file(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "ada.yaml"
    file.write_text("character: ada\nprompts: [front, side]\n")
    result = run_cli("image-set", "create", "--file", file, "--count", 4)
    assert result.exit_code == 0
    with Client(live.url) as client:
        assert client.image_sets.get(result.stdout.strip()).total == 4


def test_what_is_wrong_is_2(live: LiveApi, run_cli: Run) -> None:
    result = run_cli("image-set", "create", "ada", "--json")
    assert result.exit_code == 2
    assert "prompts" in only_json(result)["error"]["message"]
    assert run_cli("image-set", "create", "ada", "--template", "x", "--var", "view").exit_code == 2


def test_list_and_show(live: LiveApi, run_cli: Run) -> None:
    set_id = _made(live)
    assert "1/3" in run_cli("image-set", "list").stdout
    shown = run_cli("image-set", "show")
    assert [word in shown.stdout for word in ("stored", "failed", "waiting", "NSFW content")] == [True] * 4
    assert "1 of 3 images, 50.0 % of those that ended" in shown.stderr
    assert only_json(run_cli("image-set", "show", set_id[-8:], "--json"))["id"] == set_id
    assert run_cli("image-set", "show", "ffffffff").exit_code != 0


def test_download(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    set_id = _made(live)
    result = run_cli("image-set", "download", set_id, tmp_path, "--trigger-word", "A B&C")
    file = Path(result.stdout.strip())
    assert file == tmp_path / f"{set_id}.zip"
    assert check_zip(file).captions == 1
    with zipfile.ZipFile(file) as archive:
        assert archive.read("Ada_L_training_01.txt").startswith(b"A B&C, ")
    assert "1 of 3 images" in result.stderr
    with Client(live.url) as client:
        assert client.image_sets.image(set_id, 1, tmp_path / "one.jpg").read_bytes().startswith(b"\xff\xd8")
        with pytest.raises(NotFound, match="NSFW"):
            client.image_sets.image(set_id, 2, tmp_path / "two.jpg")
        assert [item.status for item in client.items(set_id)] == ["stored", "failed"]
    assert not (tmp_path / "two.jpg").exists()


def test_cancel(live: LiveApi, run_cli: Run) -> None:
    set_id = _made(live)
    assert "stopping" in run_cli("image-set", "cancel", set_id).stderr
    with Client(live.url) as client:
        assert client.get(set_id).cancel_requested


@pytest.mark.parametrize("as_zip", [False, True])
def test_send_pictures_and_train_on_them(live: LiveApi, run_cli: Run, tmp_path: Path, as_zip: bool) -> None:
    folder = tmp_path / "mira"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture())
    (folder / "a.txt").write_text("TOK")
    path = folder
    if as_zip:
        path = tmp_path / "mira.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(folder / "a.png", "a.png")
            archive.write(folder / "a.txt", "a.txt")
    result = run_cli("data", "send", path)
    assert "1 pictures, 1 captions" in result.stderr
    uri = result.stdout.strip()
    spec = tmp_path / "lora.yaml"
    spec.write_text(
        f"kind: lora\nbackend: replicate\nconfig: {{dataset: '{uri}', destination: acme/mira, steps: 300}}\n"
    )
    job = only_json(run_cli("submit", spec, "--json"))
    assert (job["kind"], job["config"]["dataset"]) == ("lora", uri)


def test_send_says_what_is_wrong(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    result = run_cli("data", "send", tmp_path / "a.zip")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_submit_makes_the_path_of_a_dataset_absolute(
    live: LiveApi, run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mira").mkdir()
    spec = tmp_path / "lora.yaml"
    spec.write_text("kind: lora\nbackend: replicate\nconfig: {dataset: mira, destination: acme/mira}\n")
    assert only_json(run_cli("submit", spec, "--json"))["config"]["dataset"] == str(tmp_path / "mira")
