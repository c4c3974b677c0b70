"""The files of cluster/: valid by Ray's own schemas, and safe in what Ray's defaults are not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from thornback.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("version")
LAUNCHED = ("aws", "gcp", "local")


def _launched(name: str) -> dict[str, Any]:
    """A config as `ray up` sees it: with the provider's defaults filled in, and checked."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load((CLUSTER / f"{name}.yaml").read_text()))
    validate_config(config)
    assert isinstance(config, dict)
    return config


def _commands(config: dict[str, Any]) -> list[str]:
    return [command for name, value in config.items() if name.endswith("commands") for command in value]


@pytest.mark.parametrize("name", LAUNCHED)
def test_nothing_is_left_to_the_defaults_that_install_a_nightly_ray(name: str) -> None:
    assert [
        command for command in _commands(_launched(name)) if re.search(r"wheels|nightly|dev0|which ray", command)
    ] == []


@pytest.mark.parametrize("name", LAUNCHED)
def test_dashboard_and_api_listen_on_loopback_and_the_head_runs_no_jobs(name: str) -> None:
    config = _launched(name)
    (start,) = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start
    assert "--num-cpus=0 --num-gpus=0" in start
    assert "0.0.0.0" not in " ".join(_commands(config))
    assert config["head_start_ray_commands"][-1] == "thornback up"


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_a_cloud_grows_workers_with_and_without_gpus(name: str) -> None:
    config = _launched(name)
    types = config["available_node_types"]
    assert types[config["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    assert types.keys() == {"head", "gpu", "gpu_spot", "cpu"}
    assert sum(kind["max_workers"] for kind in types.values()) <= config["max_workers"]


@pytest.mark.parametrize("name", LAUNCHED)
def test_versions_are_those_of_the_project(name: str) -> None:
    text = (CLUSTER / f"{name}.yaml").read_text()
    assert set(re.findall(r"thornback[:-](\d+\.\d+\.\d+)", text)) == {VERSION}


def test_the_serve_config_is_valid_and_has_no_key_that_ray_would_ignore() -> None:
    from ray.serve.schema import ServeDeploySchema

    config = yaml.safe_load((CLUSTER / "serve.yaml").read_text())
    understood = ServeDeploySchema.model_validate(config).model_dump(mode="json", exclude_unset=True)
    assert understood == config
    assert {item["route_prefix"]: item["import_path"] for item in config["applications"]} == {
        "/": "serve_apps.api.deployment:api",
        "/ws": "serve_apps.api.deployment:live",
    }


def test_the_serve_config_has_the_defaults_of_the_settings() -> None:
    config = yaml.safe_load((CLUSTER / "serve.yaml").read_text())
    defaults = {name: Settings.model_fields[name].default for name in ("host", "port")}
    assert config["http_options"] == defaults


def test_the_serve_config_in_the_package_is_the_same_file() -> None:
    assert (ROOT / "serve_apps" / "serve.yaml").resolve() == CLUSTER / "serve.yaml"


def test_the_example_of_settings_names_settings_that_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = [line for line in (CLUSTER / "thornback.env.example").read_text().splitlines() if "=" in line]
    values = dict(line.split("=", 1) for line in lines if line.startswith(ENV_PREFIX))
    assert {name.removeprefix(ENV_PREFIX).lower() for name in values} <= Settings.model_fields.keys()
    for name, value in values.items():
        monkeypatch.setenv(name, value.strip("'"))
    assert Settings(home=tmp_path).cluster_limits == {"CPU": 48, "GPU": 4}


def test_the_image_does_not_run_as_root_and_collects_zombies() -> None:
    lines = (CLUSTER / "Dockerfile").read_text().splitlines()
    stages = [line.split()[-1] for line in lines if line.startswith("FROM")]
    assert stages == ["wheel", "base", "cpu", "cuda"]
    base = lines[lines.index('ENTRYPOINT ["tini", "--"]') :]
    assert [line for line in lines if line.startswith("USER")] == ["USER thornback"]
    assert not [line for line in base if line.startswith("RUN apt-get")]


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    text = (CLUSTER / "Dockerfile").read_text()
    sources = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, flags=re.MULTILINE)
        for source in line.split()[:-1]
    }
    let_in = {
        line[1:] for line in (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert sources == let_in
    assert [source for source in sources if not (ROOT / source).exists()] == []
