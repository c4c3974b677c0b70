"""The console's files as they are shipped; needs no browser."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

import serve_apps

CONSOLE = Path(serve_apps.__file__).resolve().parent / "console"
VENDORED = [CONSOLE / "vendor", Path(__file__).parent / "vendor"]
# Imports that a module waits for, and those that it makes when it needs them as well.
IMPORT = re.compile(r"""(?:import|export)[^;'"]*?from\s*["']([^"']+)["']""")

ANY_IMPORT = re.compile(r"""(?:(?:import|export)[^;'"]*?from\s*|import\()["']([^"']+)["']""")


def packages(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "vendor.json").read_text())["packages"]
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("folder", VENDORED, ids=["console", "tests"])
def test_vendored_files_are_what_the_list_says(folder: Path) -> None:
    listed = {"vendor.json"}
    for package in packages(folder):
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["licence"] in ("MIT", "Apache-2.0", "MPL-2.0")
        assert (folder / package["licence_file"]).stat().st_size > 500
        listed |= {package["licence_file"], *(file["file"] for file in package["files"])}
        for file in package["files"]:
            assert sha256((folder / file["file"]).read_bytes()) == file["sha256"], file["file"]
    assert {path.name for path in folder.iterdir()} == listed


def test_an_edited_file_becomes_the_packages_own_again() -> None:
    edited = [file for package in packages(CONSOLE / "vendor") for file in package["files"] if "edit" in file]
    assert [file["file"] for file in edited] == ["preact-hooks.js"]
    for file in edited:
        text = (CONSOLE / "vendor" / file["file"]).read_text()
        assert text.count(file["edit"]["to"]) == 1
        original = text.replace(file["edit"]["to"], file["edit"]["from"])
        assert sha256(original.encode()) == file["source_sha256"]


def test_the_page_needs_no_inline_code_and_no_other_host() -> None:
    page = (CONSOLE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    for path in [*CONSOLE.rglob("*.html"), *CONSOLE.glob("*.css")]:
        assert re.findall(r"""(?:src|href)=["'](?:https?:)?//|url\(["']?(?:https?:)?//""", path.read_text()) == []


def imports(entry: Path, pattern: re.Pattern[str]) -> set[Path]:
    """The modules that `entry` leads to, without itself."""
    graph: set[Path] = set()
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module not in graph:
            graph.add(module)
            waiting += [(module.parent / name).resolve() for name in pattern.findall(module.read_text())]
    return graph - {entry}


def test_the_preload_list_is_the_graph_of_imports() -> None:
    """Without it the browser learns of each module only after the one that imports it."""
    page = (CONSOLE / "index.html").read_text()
    listed = ["first.js", *re.findall(r'rel="modulepreload" href="([^"]+)"', page)]
    assert '<script type="module" src="first.js" async>' in page
    assert len(listed) == len(set(listed))
    assert {CONSOLE / name for name in listed} == imports(CONSOLE / "app.js", IMPORT)


@pytest.mark.parametrize(("view", "module"), [("jobs", "views/jobs.js"), ("job", "views/job.js")])
def test_what_a_view_needs_is_asked_for_ahead(view: str, module: str) -> None:
    _, _, modules = (CONSOLE / "first.js").read_text().partition("const MODULES")
    found = re.search(rf"^  {view}: \[([^\]]*)\]", modules, re.MULTILINE)
    assert found is not None
    listed = re.findall(r'"([^"]+)"', found[1])
    assert len(listed) == len(set(listed))
    of_the_page = imports(CONSOLE / "app.js", IMPORT)
    assert {CONSOLE / name for name in listed} == {CONSOLE / module, *imports(CONSOLE / module, IMPORT)} - of_the_page


def test_every_module_is_used() -> None:
    used = imports(CONSOLE / "app.js", ANY_IMPORT) | {CONSOLE / "app.js", CONSOLE / "vendor" / "uplot.js"}
    for_other_sites = set((CONSOLE / "embed").glob("*.js"))
    in_other_languages = {path for path in (CONSOLE / "de").glob("*.js") if (CONSOLE / path.name) in used}
    assert used == set(CONSOLE.rglob("*.js")) - for_other_sites - in_other_languages


def test_no_html_is_made_from_text() -> None:
    for path in CONSOLE.rglob("*.js"):
        if path.parent.name != "vendor":
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", path.read_text()
            )
