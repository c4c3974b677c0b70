"""The page and its files, and what can be submitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serve_apps.api.console import ConsoleFiles
from tests.fixtures.api import ApiPlatform
from thornback.jobs.spec import parse_spec


async def test_the_page_comes_with_its_files(api: ApiPlatform) -> None:
    async with api.client() as client:
        page, script = await client.get("/"), await client.get("/api.js")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert script.status_code == 200
    assert "javascript" in script.headers["content-type"]


async def test_files_are_small_on_the_wire_and_asked_for_again_by_their_tag(api: ApiPlatform) -> None:
    async with api.client() as client:
        first = await client.get("/style.css", headers={"Accept-Encoding": "gzip"})
        again = await client.get("/style.css", headers={"If-None-Match": first.headers["etag"]})
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-security-policy"]
    assert again.status_code == 304
    async with api.client() as client:
        script = await client.get("/store.js", headers={"Accept-Encoding": "gzip"})
    assert script.headers["content-encoding"] == "gzip"


async def test_a_file_that_changes_is_read_again(api: ApiPlatform, tmp_path: Path) -> None:
    script = tmp_path / "console" / "a.js"
    script.parent.mkdir()
    script.write_text("1")
    app = api.app()
    app.router.default = ConsoleFiles(script.parent)
    async with api.client(app) as client:
        first = await client.get("/a.js")
        script.write_text("22" * 500)
        second = await client.get("/a.js")
        plain = await client.get("/a.js", headers={"Accept-Encoding": "identity"})
        script.unlink()
        gone = await client.get("/a.js")
    assert (first.text, second.text, plain.text) == ("1", "22" * 500, "22" * 500)
    assert first.headers["etag"] != second.headers["etag"]
    assert "content-encoding" not in plain.headers
    assert gone.status_code == 404


async def test_only_what_other_sites_load_is_for_them(api: ApiPlatform) -> None:
    async with api.client() as client:
        for path in ("//embed/thornback-job.js", "/embed/thornback-job.js", "/embed/../dom.js", "/x/../dom.js"):
            for _ in range(2):
                answer = await client.get(f"http://127.0.0.1:8001{path}")
                is_public = answer.headers.get("access-control-allow-origin") == "*"
                assert is_public == ("thornback-job" in path), path
                assert answer.status_code == 200


async def test_no_page_of_the_framework_loads_scripts_from_elsewhere(api: ApiPlatform) -> None:
    async with api.client() as client:
        assert [(await client.get(path)).status_code for path in ("/docs", "/redoc")] == [404, 404]
        assert (await client.get("/openapi.json")).status_code == 200


async def test_kinds_have_the_schema_of_their_specification(api: ApiPlatform) -> None:
    async with api.client() as client:
        kinds: list[dict[str, Any]] = (await client.get("/api/v1/kinds")).json()["kinds"]
    convnext = next(kind for kind in kinds if kind["kind"] == "convnext")
    config = convnext["spec"]["$defs"]["TrainingConfig"]["properties"]
    assert (config["epochs"]["minimum"], config["epochs"]["maximum"], config["epochs"]["default"]) == (1, 1000, 100)
    assert convnext["description"]
    parse_spec({"job_name": "x", "kind": convnext["kind"]})


async def test_a_kind_stands_once_for_each_backend_and_its_default_first(api: ApiPlatform) -> None:
    async with api.client() as client:
        kinds: list[dict[str, Any]] = (await client.get("/api/v1/kinds")).json()["kinds"]
    loras = {kind["backend"]: kind["spec"]["$defs"] for kind in kinds if kind["kind"] == "lora"}
    assert list(loras) == ["ray", "replicate", "fal"]
    assert "base_model" in loras["ray"]["LoraConfig"]["properties"]
    assert "trainer" in loras["fal"]["RemoteLoraConfig"]["properties"]
