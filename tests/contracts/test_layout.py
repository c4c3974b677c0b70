"""What must be true of the source tree as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.contracts.tree import module_names

ROOT = Path(__file__).parents[2]


def test_the_source_folder_is_not_a_package() -> None:
    """`platform/__init__.py` would hide the standard library's module of that name."""
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_standard_library_keeps_its_platform_module() -> None:
    code = "import platform; print(platform.python_implementation())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "CPython"


def test_no_module_does_anything_when_it_is_imported(tmp_path: Path) -> None:
    """Importing every module makes no file, starts no Ray and no thread, and reads no setting."""
    code = textwrap.dedent("""
        import importlib, json, os, sys, threading
        import thornback.settings as settings

        def refuse(*_, **__):
            raise AssertionError("settings were read at import")

        settings.Settings.__init__ = refuse
        names = json.loads(sys.argv[1])
        for name in names:
            importlib.import_module(name)
        ray = sys.modules.get("ray")
        print(json.dumps({
            "ray": bool(ray and ray.is_initialized()),
            "threads": [t.name for t in threading.enumerate() if t is not threading.main_thread()],
            "ours": sorted(name for name in os.environ if name.startswith("THORNBACK_")),
        }))
    """)
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    home.mkdir()
    cwd.mkdir()
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, json.dumps(module_names())]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result == {"ray": False, "threads": [], "ours": []}
    made = {path.name for path in tmp_path.rglob("*")}
    # torch makes the (empty) folder of its compiler's cache when that is imported; that is not ours to change.
    assert {name for name in made if not name.startswith("torchinductor_")} == {"home", "cwd"}


def test_imports_go_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
