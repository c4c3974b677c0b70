"""The config that is deployed is the shipped one with this node's settings."""

from __future__ import annotations

from pathlib import Path

import yaml
from ray.serve.schema import ServeDeploySchema

from thornback.node.serve import serve_config
from thornback.settings import Settings

SHIPPED = Path(__file__).parents[3] / "cluster" / "serve.yaml"


def test_host_port_and_environment(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, host="127.0.0.2", port=8123)
    config = serve_config(settings)
    assert config["http_options"]["host"] == "127.0.0.2"
    assert config["http_options"]["port"] == 8123
    for application in config["applications"]:
        # The environment alone: the code is installed where the replicas run.
        assert application["runtime_env"] == {"env_vars": settings.environment()}
    ServeDeploySchema.model_validate(config)


def test_everything_else_is_as_shipped(tmp_path: Path) -> None:
    config, shipped = serve_config(Settings(home=tmp_path)), yaml.safe_load(SHIPPED.read_text())
    for application in config["applications"]:
        del application["runtime_env"]
    assert config == shipped
