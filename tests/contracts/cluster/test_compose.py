"""cluster/compose.yaml: one host with PostgreSQL and MinIO, complete, closed to the network, without a secret."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import yaml

from tests.contracts.cluster.files import CLUSTER, ROOT, VERSION, load
from thornback.settings import Settings, load_settings

GUIDE = (CLUSTER / "README.md").read_text()

# compose-spec.json of https://github.com/compose-spec/compose-spec, or a folder above it.
SCHEMA = os.environ.get("COMPOSE_SCHEMA")


class Reset(yaml.YAMLObject):
    """Compose's own tag for what a later file takes away."""

    yaml_tag = "!reset"
    yaml_loader = yaml.SafeLoader

    @classmethod
    def from_yaml(cls, _loader: Any, _node: Any) -> None:
        """Nothing is left."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = load("compose.yaml")
    return document


@pytest.mark.skipif(SCHEMA is None, reason="COMPOSE_SCHEMA names no compose-spec.json")
@pytest.mark.parametrize("name", ["compose.yaml", "compose.cpu.yaml"])
def test_compose_takes_it(name: str) -> None:
    place = Path(SCHEMA or "")
    file = place if place.is_file() else next(place.rglob("compose-spec.json"))
    schema = json.loads(file.read_text())
    document = load(name)
    if name == "compose.cpu.yaml":
        assert document["services"]["thornback"].pop("deploy") is None  # what !reset takes away
    jsonschema.Draft7Validator(schema).validate(document)
    assert not jsonschema.Draft7Validator(schema).is_valid({"services": {"api": {"imagine": "x"}}})


def test_every_service_listens_on_loopback_alone(compose: dict[str, Any]) -> None:
    """All are in the host's network, so what keeps others out is the address that each binds."""
    for name, service in compose["services"].items():
        assert service["network_mode"] == "host", name
        assert "ports" not in service
    commands = {name: " ".join(service.get("command", [])) for name, service in compose["services"].items()}
    assert "listen_addresses=127.0.0.1" in commands["postgres"]
    assert "--address 127.0.0.1:9000 --console-address 127.0.0.1:9001" in commands["minio"]
    environment = compose["services"]["thornback"]["environment"]
    assert not {"THORNBACK_HOST", "THORNBACK_DASHBOARD_HOST"} & environment.keys()  # both are loopback by default
    assert "0.0.0.0" not in (CLUSTER / "compose.yaml").read_text()


def test_what_stays_is_in_volumes_and_what_is_up_is_looked_at(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in ("postgres", "minio", "thornback"):
        assert {"interval", "timeout", "retries", "start_period"} <= services[name]["healthcheck"].keys()
        assert services[name]["restart"] == "unless-stopped"
        (volume,) = services[name]["volumes"]
        assert volume.partition(":")[0] in compose["volumes"]
    waited_for = services["thornback"]["depends_on"]
    assert waited_for["postgres"] == {"condition": "service_healthy"}
    assert waited_for["bucket"] == {"condition": "service_completed_successfully"}


def test_secrets_are_files_that_the_guide_makes(compose: dict[str, Any]) -> None:
    named = {name for service in compose["services"].values() for name in service.get("secrets", [])}
    assert named == compose["secrets"].keys()
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"private/{name}"}
        assert f"cluster/private/{name}" in GUIDE
    assert "cluster/private/" in (ROOT / ".gitignore").read_text()


def test_the_settings_are_taken_and_lead_to_the_services(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = compose["services"]
    for name, value in services["thornback"]["environment"].items():
        monkeypatch.setenv(name, value)
    (url,) = re.findall(r"^echo \"(postgresql://.+)\" > cluster/private/database_url$", GUIDE, flags=re.M)
    secret = tmp_path / "database_url"
    secret.write_text(re.sub(r"\$\(.+?\)", "x", url))
    monkeypatch.setenv("THORNBACK_DATABASE_URL_FILE", str(secret))
    settings = load_settings(home=tmp_path)
    database = urlsplit(settings.database_url)
    postgres = services["postgres"]["environment"]
    assert (database.hostname, str(database.port)) == ("127.0.0.1", postgres["PGPORT"])
    assert (database.username, database.path) == (postgres["POSTGRES_USER"], f"/{postgres['POSTGRES_DB']}")
    storage = urlsplit(settings.storage)
    (endpoint,) = parse_qs(storage.query)["endpoint_override"]
    assert urlsplit(endpoint).netloc in " ".join(services["minio"]["command"])
    assert settings.fetch_allow == urlsplit(endpoint).netloc
    assert f"store/{storage.netloc}" in " ".join(services["bucket"]["command"])
    assert settings.is_loopback
    assert str(settings.port) in " ".join(services["thornback"]["healthcheck"]["test"])


def test_images_are_those_of_the_dockerfile_and_pinned(compose: dict[str, Any]) -> None:
    for document, target in ((compose, "cuda"), (load("compose.cpu.yaml"), "cpu")):
        service = document["services"]["thornback"]
        assert service["image"] == f"thornback:{VERSION}-{target}"
        assert service["build"]["target"] == target
    build = compose["services"]["thornback"]["build"]
    assert (CLUSTER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    tags = [service["image"].rpartition(":")[2] for service in compose["services"].values()]
    assert all(re.search(r"\d", tag) for tag in tags)
    home = Settings.model_fields["home"].default
    assert compose["services"]["thornback"]["volumes"] == [f"home:/home/thornback/{home.name}"]
