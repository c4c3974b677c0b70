"""cluster/kubernetes, built by kustomize: Kubernetes' own schemas, KubeRay's where they are at hand, and our rules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.contracts.cluster.files import CLUSTER, PINS, VERSION, load
from thornback.jobs.convnext import TrainingConfig
from thornback.node.node import DASHBOARD_PORT
from thornback.settings import Settings

FOLDER = CLUSTER / "kubernetes"
KUBERNETES = "1.34"  # whose schemas; all objects here are older
BUILDS = ("raycluster", "rayservice", "rayjob", "eks", "gke")
HEADS = {"raycluster": "RayCluster", "rayservice": "RayService", "rayjob": "RayJob"}
GROUPS = {"cpu-spot", "cpu", "gpu-spot", "gpu"}

# A checkout of https://github.com/ray-project/kuberay, or its folder ray-operator/config/crd/bases.
CRDS = os.environ.get("KUBERAY_CRDS")

pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None and shutil.which("kustomize") is None, reason="needs kubectl or kustomize"
)


@cache
def _build(name: str) -> tuple[dict[str, Any], ...]:
    """What `kubectl apply -k` would send."""
    tool = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    done = subprocess.run([*tool, str(FOLDER / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def _one(build: str, kind: str, name: str = "") -> dict[str, Any]:
    (found,) = (item for item in _build(build) if item["kind"] == kind and item["metadata"]["name"].startswith(name))
    return found


def _cluster(build: str) -> dict[str, Any]:
    """The spec of the RayCluster, wherever it stands."""
    names = {"rayservice": ("RayService", "rayClusterConfig"), "rayjob": ("RayJob", "rayClusterSpec")}
    kind, field = names.get(build, ("RayCluster", ""))
    spec: dict[str, Any] = _one(build, kind)["spec"]
    return spec[field] if field else spec


def _pods(build: str) -> Iterator[dict[str, Any]]:
    cluster = _cluster(build)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]
    if build == "rayjob":
        yield _one(build, "RayJob")["spec"]["submitterPodTemplate"]
    yield _one(build, "StatefulSet")["spec"]["template"]


def _different(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def test_kubernetes_takes_its_own_kinds() -> None:
    items = _different(item for build in BUILDS for item in _build(build))
    own = [item for item in items if not item["apiVersion"].startswith("ray.io/")]
    assert len(own) > 12
    for item in own:
        kubernetes_validate.validate(item, KUBERNETES, strict=True)


def test_kubernetes_takes_the_pods_that_kuberay_makes() -> None:
    templates = _different(pod for build in BUILDS for pod in _pods(build))
    assert len(templates) > 1  # a head's and a worker's at least
    for template in templates:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", **template["metadata"]}}
        kubernetes_validate.validate({**pod, "spec": template["spec"]}, KUBERNETES, strict=True)


def test_kubernetes_refuses_what_it_does_not_know() -> None:
    service = {**_one("raycluster", "Service", "thornback-api")}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**service, "spec": {**service["spec"], "portz": []}}, KUBERNETES, strict=True)


@pytest.mark.skipif(CRDS is None, reason="KUBERAY_CRDS names no checkout of KubeRay")
@pytest.mark.parametrize("build", BUILDS)
def test_kuberay_takes_its_kinds(build: str) -> None:
    kind = HEADS.get(build, "RayCluster")
    (file,) = Path(CRDS or "").rglob(f"ray.io_{kind.lower()}s.yaml")
    versions = yaml.safe_load(file.read_text())["spec"]["versions"]
    (schema,) = (version["schema"]["openAPIV3Schema"] for version in versions if version["name"] == "v1")
    _close(schema["properties"]["spec"])
    jsonschema.Draft7Validator(schema).validate(_one(build, kind))
    wrong = json.loads(json.dumps(_one(build, kind)).replace('"rayStartParams"', '"rayStartParameters"'))
    assert not jsonschema.Draft7Validator(schema).is_valid(wrong)


def _close(schema: Any) -> None:
    """Let a schema of a CRD refuse fields that it does not know; Kubernetes would drop them without a word."""
    if isinstance(schema, dict):
        if schema.get("x-kubernetes-int-or-string"):
            schema.pop("type", None)
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _close(part)


@pytest.mark.parametrize("build", BUILDS)
def test_pods_are_looked_at_and_may_little(build: str) -> None:
    """What the pod security standard `restricted` asks, probes, and limits of memory."""
    for template in _pods(build):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert "memory" in container["resources"]["limits"]
            if container["name"] != "submitter":
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        if template["metadata"]["labels"].get("app.kubernetes.io/component", "").endswith("worker"):
            assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("build", BUILDS)
def test_ray_asks_for_a_token_and_the_head_runs_no_jobs(build: str) -> None:
    cluster = _cluster(build)
    assert cluster["authOptions"] == {"mode": "token", "secretName": "thornback-ray-token"}
    start = cluster["headGroupSpec"]["rayStartParams"]
    assert (start["num-cpus"], start["num-gpus"]) == ("0", "0")
    # Where KubeRay itself has to reach the dashboard, the network policy is what keeps others out.
    assert start["dashboard-host"] == ("0.0.0.0" if build in ("rayservice", "rayjob") else "127.0.0.1")


@pytest.mark.parametrize("build", BUILDS)
def test_only_the_cluster_itself_reaches_ray(build: str) -> None:
    policies = [item["spec"] for item in _build(build) if item["kind"] == "NetworkPolicy"]
    for template in _pods(build):
        labels = template["metadata"]["labels"]
        mine = [policy for policy in policies if policy["podSelector"]["matchLabels"].items() <= labels.items()]
        assert any("Ingress" in policy["policyTypes"] for policy in mine), labels
        for rule in (rule for policy in mine for rule in policy["ingress"]):
            from_ray = all("podSelector" in peer for peer in rule["from"])
            open_ports = {port["port"] for port in rule.get("ports", [])}
            assert from_ray or open_ports <= {8001, 8080, DASHBOARD_PORT}
            assert from_ray or open_ports


@pytest.mark.parametrize("build", BUILDS)
def test_a_job_cannot_become_its_node(build: str) -> None:
    (policy,) = (item["spec"] for item in _build(build) if item["metadata"]["name"] == "thornback-ray")
    blocks = [peer["ipBlock"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer]
    metadata = [block for block in blocks if "169.254.169.254/32" in block.get("except", [])]
    assert len(metadata) == (0 if build == "gke" else 1)  # there the server is GKE's own


@pytest.mark.parametrize("build", ["raycluster", "rayservice", "eks", "gke"])
def test_it_outlives_its_head_and_drained_nodes(build: str) -> None:
    fault_tolerance = _cluster(build)["gcsFaultToleranceOptions"]
    host, _, port = fault_tolerance["redisAddress"].partition(":")
    service = _one(build, "Service", host)["spec"]
    redis = _one(build, "StatefulSet")["spec"]
    assert int(port) == service["ports"][0]["port"]
    assert service["selector"].items() <= redis["template"]["metadata"]["labels"].items()
    assert "--appendonly yes" in redis["template"]["spec"]["containers"][0]["command"][-1]
    assert redis["volumeClaimTemplates"]
    budgets = [item["spec"] for item in _build(build) if item["kind"] == "PodDisruptionBudget"]
    for template in _pods(build):
        labels = template["metadata"]["labels"].items()
        assert len([one for one in budgets if one["selector"]["matchLabels"].items() <= labels]) == 1


@pytest.mark.parametrize("build", ["raycluster", "rayservice", "eks", "gke"])
def test_it_grows_to_what_the_settings_say_and_spot_comes_first(build: str) -> None:
    cluster = _cluster(build)
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    assert groups.keys() == GROUPS
    assert {name for name, group in groups.items() if group.get("priority")} == {"cpu-spot", "gpu-spot"}
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["autoscalerOptions"]["version"] == "v2"
    grown = {"CPU": 0, "GPU": 0}
    for group in groups.values():
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        grown["CPU"] += group["maxReplicas"] * int(group["rayStartParams"]["num-cpus"])
        grown["GPU"] += group["maxReplicas"] * int(limits.get("nvidia.com/gpu", 0))
    settings = _one(build, "ConfigMap", "thornback-settings")["data"]
    assert json.loads(settings["THORNBACK_CLUSTER_LIMITS"]) == grown


def test_the_settings_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = _one("raycluster", "ConfigMap", "thornback-settings")["data"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    settings = Settings(home=tmp_path)
    assert settings.has_access_control
    assert (settings.host, settings.port) == ("0.0.0.0", 8001)
    (cache_volume,) = (
        volume
        for volume in _cluster("raycluster")["workerGroupSpecs"][0]["template"]["spec"]["volumes"]
        if volume["name"] == "cache"
    )
    assert settings.node_cache == Path("/cache")
    assert settings.node_cache_max_bytes < int(cache_volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) << 30


@pytest.mark.parametrize("build", BUILDS)
def test_versions_and_ports_are_those_of_the_project(build: str) -> None:
    cluster = _cluster(build)
    assert cluster["rayVersion"] == PINS["ray"]
    images = {container["image"] for pod in _pods(build) for container in pod["spec"]["containers"]}
    assert images == {f"CHANGE-ME/thornback:{VERSION}-{target}" for target in ("cpu", "cuda")} | {"redis:7.4"}
    ports = {
        port["name"]: port["containerPort"]
        for port in cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"]
    }
    assert ports["dashboard"] == DASHBOARD_PORT
    assert ports.get("serve", 8001) == Settings.model_fields["port"].default


@pytest.mark.parametrize("build", BUILDS)
def test_what_is_named_is_there(build: str) -> None:
    """ConfigMaps and accounts; Secrets are made by hand, and are three."""
    there = {(item["kind"], item["metadata"]["name"]) for item in _build(build)}
    text = json.dumps(_build(build))
    for template in _pods(build):
        spec = template["spec"]
        named = {("ServiceAccount", spec["serviceAccountName"])} if "serviceAccountName" in spec else set()
        named |= {
            ("ConfigMap", volume["configMap"]["name"]) for volume in spec.get("volumes", []) if "configMap" in volume
        }
        sources = [source for container in spec["containers"] for source in container.get("envFrom", [])]
        named |= {("ConfigMap", source["configMapRef"]["name"]) for source in sources if "configMapRef" in source}
        assert named <= there
    assert 'kind": "Secret"' not in text
    secrets = {source["secretRef"]["name"] for source in _sources(build) if "secretRef" in source}
    assert secrets == (set() if build == "rayjob" else {"thornback-secrets"})


def _sources(build: str) -> list[dict[str, Any]]:
    return [
        source
        for pod in _pods(build)
        for container in pod["spec"]["containers"]
        for source in container.get("envFrom", [])
    ]


def test_the_database_is_the_heads_business() -> None:
    head, *workers, _redis = _pods("raycluster")
    assert {"secretRef": {"name": "thornback-secrets"}} in head["spec"]["containers"][0]["envFrom"]
    assert "thornback-secrets" not in json.dumps(workers)


def test_the_service_leads_to_the_api() -> None:
    service = _one("raycluster", "Service", "thornback-api")["spec"]
    head = _cluster("raycluster")["headGroupSpec"]["template"]
    assert service["selector"].items() <= head["metadata"]["labels"].items()
    (port,) = (
        port for port in head["spec"]["containers"][0]["ports"] if port["name"] == service["ports"][0]["targetPort"]
    )
    assert port["containerPort"] == Settings.model_fields["port"].default


def test_kuberay_deploys_the_same_api_and_no_second_cluster() -> None:
    service = _one("rayservice", "RayService")["spec"]
    deployed, ours = yaml.safe_load(service["serveConfigV2"]), load("serve.yaml")
    assert deployed["http_options"].pop("host") == "0.0.0.0"
    ours["http_options"].pop("host")
    assert deployed == ours
    assert service["upgradeStrategy"] == {"type": "None"}
    assert [item["kind"] for item in _build("rayservice") if item["apiVersion"] == "ray.io/v1"] == ["RayService"]
    head = service["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert "thornback up --no-api" in head["lifecycle"]["postStart"]["exec"]["command"][-1]
    # KubeRay deploys once the head is ready: its readiness must not wait for what is deployed.
    assert head["readinessProbe"]["httpGet"] == head["livenessProbe"]["httpGet"]


def test_the_training_of_the_ray_job_is_taken_and_fits_its_workers() -> None:
    config = TrainingConfig.model_validate_json(_one("rayjob", "ConfigMap", "thornback-job")["data"]["job.json"])
    (group,) = _cluster("rayjob")["workerGroupSpecs"]
    assert config.devices == group["maxReplicas"]
    assert config.cpus_per_device == int(group["rayStartParams"]["num-cpus"])
    spec = _one("rayjob", "RayJob")["spec"]
    assert "runtimeEnvYAML" not in spec  # the code is in the image
    assert spec["entrypoint"].startswith("python -m train_jobs.convnext --config /etc/thornback/job.json")
