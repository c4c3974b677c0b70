"""cluster/local.yaml from `ray up` to `ray down`, on machines that are folders: wheel, API, job, Ray job."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.contracts.cluster.files import CLUSTER, ROOT, load
from tests.fixtures.ray import free_port
from tests.fixtures.s3 import S3Server
from tests.integration.launcher.folder_provider import MARK
from tests.integration.node.conftest import eventually
from thornback.artifacts.files import join, locate
from thornback.client import Client
from thornback.datasets.radio import demo_config, make_radio_dataset
from thornback.jobs.status import JobStatus

UP_S = 420.0
JOB_S = 400.0
SITE = Path(yaml.__file__).parents[1]  # where this interpreter's packages are


# Ray fills these in for the providers that it knows.
NO_DEFAULTS: dict[str, Any] = {
    "cluster_synced_files": [],
    "docker": {},
    "file_mounts_sync_continuously": False,
    "initialization_commands": [],
    "rsync_exclude": [],
    "rsync_filter": [],
    "upscaling_speed": 1.0,
}


class Launcher:
    """`ray …` with cluster/local.yaml, whose machines are folders below `root`."""

    def __init__(self, root: Path, *, database: str, storage: str) -> None:
        self.root = root
        self.ports = {name: free_port() for name in ("gcs", "dashboard", "client", "api")}
        self.token = secrets.token_hex(32)
        (root / "machines").mkdir()
        self._skeleton()
        self._private(database, storage)
        self._wheel()
        self.config = root / "local.yaml"
        self.config.write_text(yaml.safe_dump(self._config()))

    def ray(self, *arguments: str, timeout_s: float = UP_S) -> str:
        """Run a command of Ray's; returns what it printed."""
        log = self.root / f"{arguments[0]}.log"
        with log.open("w") as output:
            code = subprocess.run(
                [sys.executable, "-m", "ray.scripts.scripts", *arguments],
                cwd=self.root,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            ).returncode
        assert code == 0, log.read_text()[-6000:]
        return log.read_text()

    def environment(self) -> dict[str, str]:
        """Of the one who calls `ray up`, and of the monitor: where the provider is, and the token."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "PYTHONPATH": str(self.root / "provider"),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    @property
    def machines(self) -> dict[str, Any]:
        """Those that run, with their tags."""
        machines: dict[str, Any] = json.loads((self.root / "machines" / "machines.json").read_text() or "{}")
        return machines

    def processes(self) -> list[str]:
        """Of all machines."""
        names = {folder.name for folder in (self.root / "machines").iterdir() if folder.is_dir()}
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) in names and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
            except psutil.Error:
                continue
        return found

    def kill(self) -> None:
        """End whatever a failed test left."""
        for line in self.processes():
            psutil.Process(int(line.split()[0])).kill()

    def _config(self) -> dict[str, Any]:
        """local.yaml as it is, but for the machines, the folders they are given and the ports of this test."""
        config: dict[str, Any] = {**NO_DEFAULTS, **load("local.yaml")}
        config["provider"] = {
            "type": "external",
            "module": "folder_provider.FolderProvider",
            "folder": str(self.root / "machines"),
            "skeleton": str(self.root / "skeleton"),
        }
        config["auth"] = {"ssh_user": "nobody"}
        config["file_mounts"] = {
            target: str(self.root / {"cluster/private": "private", "dist": "dist"}[source])
            for target, source in config["file_mounts"].items()
        }
        del config["min_workers"]
        config["max_workers"] = 1
        config["head_node_type"] = "head"
        config["available_node_types"] = {
            "head": {"resources": {"CPU": 0}, "node_config": {}},
            "worker": {"resources": {"CPU": 2}, "node_config": {}, "min_workers": 1, "max_workers": 1},
        }
        for name in ("head_start_ray_commands", "worker_start_ray_commands"):
            config[name] = [self._on_free_ports(command) for command in config[name]]
        return config

    def _on_free_ports(self, command: str) -> str:
        """Several Rays share this machine; on machines of their own all ports are free."""
        ports = self.ports
        small = "--dashboard-agent-listen-port=0 --object-store-memory=100000000"
        head = (
            f"--temp-dir={self.root}/r --dashboard-port={ports['dashboard']} --ray-client-server-port={ports['client']}"
        )
        command = command.replace("6379", str(ports["gcs"]))
        command = command.replace("ray start --head", f"ray start --head {head} {small}")
        return command.replace("ray start --address", f"ray start {small} --address")

    def _skeleton(self) -> None:
        """A new machine: a venv in which all is installed already but for ourselves, which takes minutes."""
        home = self.root / "skeleton"
        venv = home / "thornback-venv"
        subprocess.run([sys.executable, "-m", "venv", "--symlinks", str(venv)], check=True)
        packages = self.root / "packages"
        packages.mkdir()
        for entry in SITE.iterdir():
            if "thornback" not in entry.name and not entry.name.endswith(".pth"):
                (packages / entry.name).symlink_to(entry)
        (site,) = venv.glob("lib/python*/site-packages")
        (site / "packages.pth").write_text(f"{packages}\n")
        ray = venv / "bin" / "ray"
        # `ray stop` ends every Ray of this machine, whoever's it is; a new machine has none.
        ray.write_text(
            '#!/bin/sh\n[ "$1" = stop ] && exit 0\nexec ~/thornback-venv/bin/python -m ray.scripts.scripts "$@"\n'
        )
        ray.chmod(0o755)
        (home / ".bashrc").write_text(f"export PYTHONPATH={self.root / 'provider'}\n")
        (self.root / "provider").mkdir()
        shutil.copy(Path(__file__).with_name("folder_provider.py"), self.root / "provider")

    def _private(self, database: str, storage: str) -> None:
        """What the guide has people make: thornback.env from the example, and the token."""
        private = self.root / "private"
        private.mkdir()
        ours = {
            "THORNBACK_DATABASE_URL": database,
            "THORNBACK_STORAGE": f"'{storage}'",
            "THORNBACK_RAY_ADDRESS": f"127.0.0.1:{self.ports['gcs']}",
            "THORNBACK_CLUSTER_LIMITS": "'{\"CPU\": 2}'",
            "THORNBACK_LINKS_SECRET": secrets.token_hex(32),
            "THORNBACK_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        lines = (CLUSTER / "thornback.env.example").read_text().splitlines()
        kept = [line if line.partition("=")[0] not in ours else "" for line in lines]
        added = [f"{name}={value}" for name, value in {**ours, "THORNBACK_PORT": self.ports["api"]}.items()]
        (private / "thornback.env").write_text("\n".join([*kept, *added, ""]))
        (private / "auth_token").write_text(self.token)

    def _wheel(self) -> None:
        """What scripts/wheel makes."""
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(self.root / "dist")]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        shutil.copy(ROOT / "constraints.txt", self.root / "dist")


@pytest.fixture
def launcher(postgres_url: str, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    root = Path(tmp_path_factory.mktemp("up"))
    short = Path("/tmp") / f"up-{secrets.token_hex(3)}"  # Ray makes sockets below
    short.symlink_to(root)
    made = Launcher(short, database=postgres_url, storage=s3.uri(s3.make_bucket(), "runs"))
    try:
        yield made
    finally:
        made.kill()
        short.unlink()


@pytest.mark.slow
@pytest.mark.timeout(3 * UP_S + 2 * JOB_S)
def test_a_cluster_from_up_to_down(launcher: Launcher, s3: S3Server, tmp_path: Path) -> None:
    dataset = s3.uri(s3.make_bucket(), "radio")
    manifest = make_radio_dataset(tmp_path / "radio", clips=48, seed=1)
    for path in (path for path in manifest.parent.rglob("*") if path.is_file()):
        locate(join(dataset, str(path.relative_to(manifest.parent)))).upload(path)

    launcher.ray("up", "--yes", "--no-config-cache", str(launcher.config))
    told = (launcher.root / "up.log").read_text()
    (key,) = {word.partition("=")[2] for word in told.split() if word.startswith("THORNBACK_API_KEY=tbk_")}
    with Client(f"http://127.0.0.1:{launcher.ports['api']}", api_key=key) as client:
        eventually(lambda: len(launcher.machines) == 2, within_s=UP_S, what="a worker")
        config = {**demo_config(manifest), "data": join(dataset, manifest.name), "epochs": 1}
        job = client.submit("from a cluster", config)
        done = client.wait(job.id, timeout_s=JOB_S)
        assert (done.status, done.error_message) == (JobStatus.COMPLETED, None)
    # It ran from the wheel of the worker, which keeps copies of what it read from S3.
    (worker,) = (name for name, tags in launcher.machines.items() if tags["ray-node-type"] == "worker")
    home = launcher.root / "machines" / worker
    assert list(home.glob("thornback-venv/lib/python*/site-packages/train_jobs/convnext/__main__.py"))

    dashboard = f"http://127.0.0.1:{launcher.ports['dashboard']}"
    said = launcher.ray(
        "job", "submit", "--address", dashboard, "--", "python", "-c", "import thornback; print(thornback.__file__)"
    )
    assert "thornback-venv/lib/python" in said
    assert str(ROOT) not in said

    launcher.ray("down", "--yes", str(launcher.config))
    assert launcher.machines == {}
    eventually(lambda: launcher.processes() == [], what="the end of all processes")
