"""The wheel holds what runs from it, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"thornback": ROOT / "platform", "serve_apps": ROOT, "train_jobs": ROOT}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_three_packages_is_in_it(wheel: Path) -> None:
    """Python, migrations, the page, serve.yaml: whatever git keeps."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "platform/thornback", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    wanted = {name.removeprefix("platform/") for name in listed if (ROOT / name).is_file()}
    assert len(wanted) > 50
    assert wanted - _names(wheel) == set()


def test_it_brings_three_packages_and_the_shim(wheel: Path) -> None:
    tops = {PurePosixPath(name).parts[0] for name in _names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {*PACKAGES, "thornback_torch_shim.pth"}


def test_it_has_no_leftovers(wheel: Path) -> None:
    assert [name for name in _names(wheel) if "__pycache__" in name or name.endswith((".pyc", ".db"))] == []


def test_it_works_from_where_it_is_unpacked(wheel: Path, tmp_path: Path) -> None:
    """Not the checkout but the files of the wheel are imported, and data files are found beside them."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = """
import json, pathlib, importlib.resources as r, serve_apps, thornback, train_jobs
console = r.files("serve_apps") / "console" / "index.html"
print(json.dumps({
    "from": sorted({str(pathlib.Path(m.__file__).parents[1]) for m in (serve_apps, thornback, train_jobs)}),
    "serve": (r.files("serve_apps") / "serve.yaml").read_text(),
    "page": console.is_file(),
}))
"""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "from": [str(tmp_path)],
        "serve": (ROOT / "cluster" / "serve.yaml").read_text(),
        "page": True,
    }
