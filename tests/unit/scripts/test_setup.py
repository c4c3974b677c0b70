"""scripts/setup with a Python that only notes what it is asked to do: no network, no minutes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOLS = ("sh", "cat", "cksum", "dirname", "rm", "touch", "cp", "mkdir")

# Answers as `python` does to what the script asks of it, and writes a line to $NOTES for what takes time.
PYTHON = """#!/bin/sh
case "$*" in
    *ensurepip*) exit ${WITHOUT_VENV:-0} ;;
    *version_info*) echo "${VERSION:-3 11}" ;;
    --version) echo "Python 3.11.7" ;;
    "-m venv "*) echo venv >>"$NOTES"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip --version") ;;
    "-m pip install "*)
        echo "install $*" >>"$NOTES"
        if [ -n "${KILLED:-}" ]; then kill -9 $PPID; fi
        exit ${PIP_FAILS:-0} ;;
esac
"""


class Project:
    """A folder with the script, a PATH of its own, and the notes of its Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.bin = folder / "bin"
        self._notes = folder / "notes"
        self.bin.mkdir(parents=True)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        (self.folder / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "setup", self.folder / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            (self.folder / name).write_text("first")

    def add_python(self, name: str, text: str = PYTHON) -> Path:
        file = self.bin / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def run(self, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "NOTES": str(self._notes), **env}
        return subprocess.run(
            [str(self.folder / "scripts" / "setup")], env=environment, capture_output=True, text=True, check=False
        )

    def notes(self) -> list[str]:
        """What took time since the last look: `venv`, `install`."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        self._notes.unlink(missing_ok=True)
        return [line.split()[0] for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.add_python("python3.11")
    return made


def test_the_first_run_installs_with_the_constraints_and_the_second_does_nothing(project: Project) -> None:
    assert project.run().returncode == 0
    assert "-c constraints.txt -e .[dev]" in (project.folder.parent / "notes").read_text()
    assert project.notes() == ["venv", "install"]

    assert project.run().returncode == 0
    assert project.notes() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_is_installed_into_the_same_environment(project: Project, name: str) -> None:
    project.run()
    project.notes()
    (project.folder / name).write_text("second")

    assert project.run().returncode == 0
    assert project.notes() == ["install"]


def test_a_folder_that_was_moved_installs_again(project: Project) -> None:
    """Commands in .venv/bin name the old folder."""
    project.run()
    project.notes()
    project.folder = project.folder.rename(project.folder.with_name("moved"))

    assert project.run().returncode == 0
    assert project.notes() == ["install"]


@pytest.mark.parametrize("accident", [{"PIP_FAILS": "1"}, {"KILLED": "1"}])
def test_an_installation_that_broke_off_is_made_anew(project: Project, accident: dict[str, str]) -> None:
    broken = project.run(**accident)
    assert broken.returncode in (1, -signal.SIGKILL)
    assert project.notes() == ["venv", "install"]

    assert project.run().returncode == 0
    assert project.notes() == ["venv", "install"]
    assert project.run().returncode == 0
    assert project.notes() == []


def test_an_update_that_broke_off_does_not_look_finished(project: Project) -> None:
    project.run()
    (project.folder / "constraints.txt").write_text("second")
    assert project.run(PIP_FAILS="1").returncode == 1
    (project.folder / "constraints.txt").write_text("first")
    project.notes()

    assert project.run().returncode == 0
    assert project.notes() == ["venv", "install"]


def test_a_python_that_does_not_run_is_passed_over(project: Project) -> None:
    """A version manager has commands for versions that are switched off; Debian has Python without venv."""
    project.add_python("python3.11", "#!/bin/sh\nexit 127\n")
    project.add_python("python3.12", PYTHON.replace("${WITHOUT_VENV:-0}", "1"))
    project.add_python("python3.13")
    done = project.run()
    assert done.returncode == 0, done.stderr
    assert project.notes() == ["venv", "install"]


def test_without_a_python_it_says_what_to_do(project: Project) -> None:
    (project.bin / "python3.11").unlink()
    done = project.run()
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert "make demo PYTHON=" in done.stderr
    assert not (project.folder / ".venv").exists()


def test_a_named_python_is_used_or_refused_by_name(project: Project) -> None:
    other = project.add_python("other")
    assert project.run(PYTHON=str(other)).returncode == 0
    assert project.notes() == ["venv", "install"]

    refused = project.run(PYTHON=str(project.bin / "nothing"))
    assert refused.returncode == 1
    assert f"PYTHON={project.bin}{os.sep}nothing" in refused.stderr


def test_another_version_makes_another_environment(project: Project) -> None:
    project.run()
    project.notes()
    newer = project.add_python("newer", PYTHON.replace("${VERSION:-3 11}", "3 12"))

    done = project.run(PYTHON=str(newer))
    assert done.returncode == 0, done.stderr
    assert project.notes() == ["venv", "install"]
    assert project.run(PYTHON=str(newer)).returncode == 0
    assert project.notes() == []
