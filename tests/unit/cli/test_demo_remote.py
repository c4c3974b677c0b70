"""What demo --remote orders, and from whom. The whole of it runs in tests/integration/node."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import httpx2
import pytest
from PIL import Image

import serve_apps
from serve_apps.api.remote_specs import check_spec
from thornback.cli import demo_remote
from thornback.cli.output import Output
from thornback.errors import AddressRefused
from thornback.jobs.spec import parse_spec
from thornback.net.rules import AddressRules
from thornback.providers.catalogue import load_catalogue
from thornback.settings import Settings

README = Path(serve_apps.__file__).parents[1] / "README.md"


def test_the_demo_orders_what_the_catalogue_has(tmp_path: Path) -> None:
    settings = demo_remote.remote_settings(Settings(home=tmp_path), "http://127.0.0.1:8099")
    for body in (demo_remote.lora_spec(tmp_path / "pictures.zip"), demo_remote.image_spec()):
        check_spec(parse_spec(body), settings, load_catalogue(settings))


def test_the_files_of_the_simulator_may_be_fetched_and_nothing_else_there(tmp_path: Path) -> None:
    settings = demo_remote.remote_settings(Settings(home=tmp_path, fetch_allow="minio.test"), "http://127.0.0.1:8099")
    rules = AddressRules.of(settings)
    for url in ("http://127.0.0.1:8099/files/a.png", "http://minio.test:9000/a.png"):
        rules.check_url(url)
    with pytest.raises(AddressRefused):
        rules.check_url("http://127.0.0.1:8001/api/v1/info")


def test_the_pictures_have_captions(tmp_path: Path) -> None:
    with zipfile.ZipFile(demo_remote.make_dataset(tmp_path / "pictures.zip")) as archive:
        names = archive.namelist()
        assert len([name for name in names if name.endswith(".png")]) == demo_remote.PICTURES
        assert archive.read("01.txt").startswith(b"TOK, a ")
        with archive.open("01.png") as file, Image.open(file) as picture:
            assert picture.size == (512, 512)
            assert len(picture.convert("RGB").getcolors(1000) or []) > 1


def test_the_simulator_is_a_process_that_ends_with_the_demo(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, port=20_000)
    with demo_remote.simulator(settings, Output()) as url:
        answer = httpx2.get(f"{url}/v1/account", headers={"Authorization": f"Bearer {demo_remote.TOKEN}"})
        assert answer.status_code == 200
    try:
        httpx2.get(f"{url}/v1/account")
    except httpx2.TransportError:
        return
    raise AssertionError("it still answers")


def test_the_remote_job_of_the_readme_is_one_that_can_be_sent(tmp_path: Path) -> None:
    bodies = map(json.loads, re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL))
    [body] = [body for body in bodies if body.get("backend") == "replicate"]
    settings = Settings(home=tmp_path, replicate_api_token="r8")
    check_spec(parse_spec(body), settings, load_catalogue(settings))
