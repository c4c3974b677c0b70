"""cluster/serve.yaml: valid by Serve's own schema, and the same that the package brings."""

from __future__ import annotations

from tests.contracts.cluster.files import CLUSTER, ROOT, load
from thornback.settings import Settings


def test_the_serve_config_is_valid_and_has_no_key_that_ray_would_ignore() -> None:
    from ray.serve.schema import ServeDeploySchema

    config = load("serve.yaml")
    understood = ServeDeploySchema.model_validate(config).model_dump(mode="json", exclude_unset=True)
    assert understood == config
    assert {item["route_prefix"]: item["import_path"] for item in config["applications"]} == {
        "/": "serve_apps.api.deployment:api",
        "/ws": "serve_apps.api.deployment:live",
    }


def test_the_serve_config_has_the_defaults_of_the_settings() -> None:
    config = load("serve.yaml")
    defaults = {name: Settings.model_fields[name].default for name in ("host", "port")}
    assert config["http_options"] == defaults


def test_the_serve_config_in_the_package_is_the_same_file() -> None:
    assert (ROOT / "serve_apps" / "serve.yaml").resolve() == CLUSTER / "serve.yaml"
