"""What `ray up` reads: valid by Ray's schema and the clouds' own, and safe in what Ray's defaults are not."""

from __future__ import annotations

import ast
import gzip
import importlib.resources
import json
import re
from typing import Any

import pytest

from tests.contracts.cluster.files import CLUSTER, LAUNCHED, VERSION, load
from thornback.settings import Settings

CLOUDS = ("aws", "gcp")
# https://cloud.google.com/compute/docs/machine-resource; of AWS moto knows all types.
GOOGLE_MACHINES = {
    "n2-standard-4": {"CPU": 4},
    "n2-standard-8": {"CPU": 8},
    "g2-standard-8": {"CPU": 8, "GPU": 1},
}


def _launched(name: str) -> dict[str, Any]:
    """A config as `ray up` sees it: with the provider's defaults filled in, and checked."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(load(f"{name}.yaml"))
    validate_config(config)
    assert isinstance(config, dict)
    return config


def _commands(config: dict[str, Any]) -> list[str]:
    return [command for name, value in config.items() if name.endswith("commands") for command in value]


@pytest.mark.parametrize("name", LAUNCHED)
def test_nothing_is_left_to_the_defaults_that_install_a_nightly_ray(name: str) -> None:
    nightly = re.compile(r"wheels|nightly|dev0|which ray")
    assert [command for command in _commands(_launched(name)) if nightly.search(command)] == []


@pytest.mark.parametrize("name", LAUNCHED)
def test_dashboard_and_api_listen_on_loopback_and_the_head_runs_no_jobs(name: str) -> None:
    config = _launched(name)
    (start,) = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start
    assert "--num-cpus=0 --num-gpus=0" in start
    assert "0.0.0.0" not in " ".join(_commands(config))
    assert config["head_start_ray_commands"][-1] == "thornback up"


@pytest.mark.parametrize("name", LAUNCHED)
def test_every_node_reads_the_settings_and_no_code_is_sent(name: str) -> None:
    """The code is in the image or the wheel; what is mounted is that wheel, and secrets where they are files."""
    config = _launched(name)
    assert [command for command in config["setup_commands"] if "thornback-private/thornback.env" in command]
    assert config["file_mounts"] == (
        {"~/thornback-private": "cluster/private", "~/thornback-dist": "dist"} if name == "local" else {}
    )
    assert config.get("cluster_synced_files", []) == []


@pytest.mark.parametrize("name", CLOUDS)
def test_secrets_are_named_and_fetched_by_the_machine(name: str) -> None:
    config = _launched(name)
    fetched = [command for command in config["initialization_commands"] if "secret" in command]
    assert len(fetched) == 2
    assert all(command.startswith("(umask 077;") for command in fetched)
    assert [command.rstrip(")").rpartition("/")[2] for command in fetched] == ["thornback.env", "auth_token"]
    assert "-v /home/ubuntu/thornback-private:/home/thornback/thornback-private:ro" in config["docker"]["run_options"]


@pytest.mark.parametrize("name", CLOUDS)
def test_workers_come_with_and_without_gpus_and_spot_first(name: str) -> None:
    config = _launched(name)
    types = config["available_node_types"]
    assert types.keys() == {"head", "gpu", "gpu_spot", "cpu", "cpu_spot"}
    assert types[config["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    workers = {kind: value for kind, value in types.items() if kind != "head"}
    assert all(kind["min_workers"] == 0 < kind["max_workers"] for kind in workers.values())
    assert sum(kind["max_workers"] for kind in workers.values()) == config["max_workers"]
    assert {kind for kind, value in types.items() if _is_spot(value["node_config"])} == {"gpu_spot", "cpu_spot"}
    assert {kind for kind, value in types.items() if value.get("priority")} == {"gpu_spot", "cpu_spot"}
    for kind in ("gpu", "cpu"):
        assert types[kind]["resources"] == types[f"{kind}_spot"]["resources"]


def _is_spot(node: dict[str, Any]) -> bool:
    market = node.get("InstanceMarketOptions", {}).get("MarketType")
    return bool(market == "spot" or node.get("scheduling", {}).get("provisioningModel") == "SPOT")


@pytest.mark.parametrize("name", CLOUDS)
def test_the_limits_of_the_settings_are_what_the_cluster_can_grow_to(name: str) -> None:
    types = _launched(name)["available_node_types"].values()
    most = {
        resource: sum(kind.get("max_workers", 0) * kind["resources"].get(resource, 0) for kind in types)
        for resource in ("CPU", "GPU")
    }
    (line,) = re.findall(r"^THORNBACK_CLUSTER_LIMITS='(.+)'$", (CLUSTER / "thornback.env.example").read_text(), re.M)
    assert json.loads(line) == most


def test_aws_takes_its_nodes() -> None:
    """By botocore's own model of RunInstances, and moto's list of instance types."""
    import botocore.loaders
    import botocore.model
    import botocore.validate

    data = botocore.loaders.Loader().load_service_model("ec2", "service-2")
    run = botocore.model.ServiceModel(data).operation_model("RunInstances").input_shape
    packed = (importlib.resources.files("moto.ec2") / "resources" / "instance_types.json.gz").read_bytes()
    machines = json.loads(gzip.decompress(packed))
    for kind in _launched("aws")["available_node_types"].values():
        node = kind["node_config"]
        report = botocore.validate.ParamValidator().validate({**node, "MinCount": 1, "MaxCount": 1}, run)
        assert report.generate_report() == ""
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in node["BlockDeviceMappings"])
        machine = machines[node["InstanceType"]]
        gpus = sum(gpu["Count"] for gpu in machine.get("GpuInfo", {}).get("Gpus", []))
        has = {"CPU": machine["VCpuInfo"]["DefaultVCpus"], "GPU": gpus}
        assert all(has[name] == amount for name, amount in kind["resources"].items() if kind["max_workers"])


def test_google_takes_its_nodes() -> None:
    """By the discovery document of Compute Engine that Google's client brings."""
    documents = importlib.resources.files("googleapiclient.discovery_cache") / "documents"
    schemas = json.loads((documents / "compute.v1.json").read_text())["schemas"]
    for kind in _launched("gcp")["available_node_types"].values():
        node = kind["node_config"]
        assert list(_wrong(node, {"$ref": "Instance"}, schemas)) == []
        machine = GOOGLE_MACHINES[node["machineType"]]
        assert all(machine.get(name) == amount for name, amount in kind["resources"].items() if kind["max_workers"])
    bad = {"machinetype": "n2", "disks": [{"autoDelete": "yes"}], "scheduling": {"provisioningModel": "CHEAP"}}
    assert len(list(_wrong(bad, {"$ref": "Instance"}, schemas))) == 3


def _wrong(value: Any, schema: dict[str, Any], schemas: dict[str, Any], path: str = "") -> list[str]:
    """What does not fit a schema of a discovery document, which is no JSON Schema."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if "properties" in schema:
        unknown = [f"{path}/{name} is unknown" for name in value if name not in schema["properties"]]
        known = [(name, schema["properties"][name]) for name in value if name in schema["properties"]]
        return unknown + [line for name, part in known for line in _wrong(value[name], part, schemas, f"{path}/{name}")]
    if schema.get("type") == "array":
        return [
            line
            for number, one in enumerate(value)
            for line in _wrong(one, schema["items"], schemas, f"{path}/{number}")
        ]
    kinds: dict[str, tuple[type, ...]] = {"string": (str, int), "boolean": (bool,), "integer": (int,)}
    fits = isinstance(value, kinds.get(schema["type"], (object,))) and value in schema.get("enum", [value])
    return [] if fits else [f"{path}: {value!r}"]


@pytest.mark.parametrize("name", LAUNCHED)
def test_versions_are_those_of_the_project(name: str) -> None:
    text = (CLUSTER / f"{name}.yaml").read_text()
    assert set(re.findall(r"thornback[:-](\d+\.\d+\.\d+)", text)) == {VERSION}
    targets = re.findall(r"^FROM base AS (\w+)$", (CLUSTER / "Dockerfile").read_text(), flags=re.M)
    assert set(re.findall(rf"thornback:{VERSION}-(\w+)", text)) == (set() if name == "local" else set(targets))


@pytest.mark.parametrize("name", LAUNCHED)
def test_ports_are_those_of_the_settings(name: str) -> None:
    text = (CLUSTER / f"{name}.yaml").read_text()
    forwarded = {int(port) for port in re.findall(r"--port-forward (\d+)", text)}
    assert forwarded == {Settings.model_fields[field].default for field in ("port", "dashboard_port")}


def test_the_local_file_installs_the_wheel_that_is_built() -> None:
    (install,) = [command for command in _launched("local")["setup_commands"] if "pip install" in command]
    assert "-c ~/thornback-dist/constraints.txt" in install
    assert (
        ast.literal_eval(install.split()[-1]) == f"$HOME/thornback-dist/thornback-{VERSION}-py3-none-any.whl[postgres]"
    )
